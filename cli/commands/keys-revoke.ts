import { parseTime } from "../input/time";
import { type RunOf } from "../keys/kind";
import { requireCredential, requireKind } from "../keys/require-kind";
import { credentialToJson, endWords } from "../keys/views";
import { patient } from "../patient";

export const runOf: RunOf =
  (kind) =>
  async ({ rotation: connect, output, clock }, call) => {
    const text = call.text("at");
    const at = text === undefined ? undefined : parseTime("--at", text, clock.now());
    const rotation = await connect();
    const { credentials } = rotation;
    const request = { credentialId: call.arg("id"), at };
    await requireKind(rotation, kind, request.credentialId);
    const answer = await patient(() => credentials.revokeCredential(request));
    const credential = requireCredential(answer.credential);
    if (call.flag("json")) {
      output.json(credentialToJson(credential));
      return;
    }
    const name = `${kind.word} ${credential.credentialId}`;
    if (credential.revokedAt) output.line(`Revoked ${name}`);
    else output.line(`${name.replace(/^a/, "A")} ends ${endWords(credential, clock.now())}`);
  };
