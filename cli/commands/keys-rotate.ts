import { randomUUID } from "node:crypto";
import { parseGrace } from "../keys/grace";
import { PATIENCE_MS, type RunOf } from "../keys/kind";
import { requireCredential, requireKind } from "../keys/require-kind";
import { credentialToJson, endWords } from "../keys/views";
import { patient } from "../patient";

export const runOf: RunOf = (kind) => async (context, call) => {
  const { output, clock } = context;
  const graceSeconds = parseGrace(call.text("grace"));
  // One random request id for all attempts: an answer that was lost is the same answer again.
  const request = { credentialId: call.arg("id"), graceSeconds, requestId: randomUUID() };
  const rotation = await context.rotation();
  const { credentials } = rotation;
  await requireKind(rotation, kind, request.credentialId);
  const answer = await patient(() => credentials.rotateCredential(request), PATIENCE_MS);
  const [credential, replaced] = [answer.credential, answer.replaced].map(requireCredential);
  if (!credential || !replaced) return;
  if (call.flag("json")) {
    const old = credentialToJson(replaced);
    output.json({ value: answer.value, ...credentialToJson(credential), replaced: old });
    return;
  }
  output.line(answer.value);
  output.note(
    `Rotated ${kind.word} ${replaced.credentialId}; the new one is ${credential.credentialId}.`,
  );
  output.note(
    graceSeconds === 0
      ? "The old one has ended."
      : `The old one stays valid beside it until ${replaced.expiresAt?.toISOString() ?? "?"}.`,
  );
  if (credential.expiresAt)
    output.note(
      `The new one ends ${endWords(credential, clock.now())}, as the old one would have.`,
    );
  output.note("The new one is shown once: save it now.");
};
