import { randomUUID } from "node:crypto";
import { parseTime } from "../input/time";
import { PATIENCE_MS, type RunOf } from "../keys/kind";
import { requireCredential } from "../keys/require-kind";
import { credentialToJson, endWords } from "../keys/views";
import { patient } from "../patient";

export const runOf: RunOf =
  ({ kind, group, word }) =>
  async (context, call) => {
    const { output, clock } = context;
    const isToken = group === "tokens";
    const expires = call.text("expires");
    // One random request id for all attempts: an answer that was lost is the same answer again.
    const request = {
      ...{ kind, requestId: randomUUID(), scopes: isToken ? [] : [...call.list("scope")] },
      agentName: isToken ? call.arg("agent") : "",
      label: isToken ? (call.text("label") ?? "") : call.arg("label"),
      expiresAt: expires === undefined ? undefined : parseTime("--expires", expires, clock.now()),
    };
    const { credentials } = await context.rotation();
    const answer = await patient(() => credentials.createCredential(request), PATIENCE_MS);
    const credential = requireCredential(answer.credential);
    if (call.flag("json")) {
      output.json({ value: answer.value, ...credentialToJson(credential) });
      return;
    }
    output.line(answer.value);
    output.note(
      `Created ${word} ${credential.credentialId}; ends: ${endWords(credential, clock.now())}.`,
    );
    output.note("It is shown once: save it now.");
  };
