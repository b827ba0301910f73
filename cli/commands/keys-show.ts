import { evidenceWords, laggardLines } from "../keys/evidence";
import { API_KEY, type RunOf } from "../keys/kind";
import { requireKind } from "../keys/require-kind";
import { credentialToJson, endWords, stateWord, useWords } from "../keys/views";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { roleWord } from "../people/views";

export const runOf: RunOf =
  (kind) =>
  async ({ rotation, output, clock }, call) => {
    const credential = await requireKind(await rotation(), kind, call.arg("id"));
    if (call.flag("json")) {
      output.json(credentialToJson(credential));
      return;
    }
    const now = clock.now();
    const rows: [string, string][] = [
      ["id", credential.credentialId],
      ["value", `${credential.prefix}…`],
      ["state", stateWord(credential)],
      ["agent", credential.agentName],
      ["label", credential.label],
      ["scopes", credential.scopes.join(", ") || (kind === API_KEY ? "all that its role may" : "")],
      ["owner", credential.owner],
      ["role", roleWord(credential.role)],
      ["created", relativeTime(credential.createdAt, now)],
      ["ends", endWords(credential, now)],
      ["last used", useWords(credential, now)],
      ["replaces", credential.replaces],
      ["replaced by", credential.replacedBy],
      ["secret", credential.secretName ?? ""],
      ["evidence", credential.evidence ? evidenceWords(credential.evidence, now) : ""],
    ];
    for (const [name, text] of rows)
      if (text !== "") output.line(`${`${name}:`.padEnd(13)}${printable(text)}`);
    for (const line of credential.evidence ? laggardLines(credential.evidence) : [])
      output.line(`${"".padEnd(13)}${printable(line)}`);
  };
