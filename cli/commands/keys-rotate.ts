import { randomUUID } from "node:crypto";
import { type CommandContext, type Invocation } from "../command";
import { UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { evidenceWords, laggardLines } from "../keys/evidence";
import { parseGrace } from "../keys/grace";
import { PATIENCE_MS, type RunOf } from "../keys/kind";
import { requireCredential, requireKind } from "../keys/require-kind";
import { credentialToJson, endWords } from "../keys/views";
import { requireEnded, waitForEvidence } from "../keys/wait-for-evidence";
import { printable } from "../output/printable";
import { patient } from "../patient";

export const runOf: RunOf = (kind) => async (context, call) => {
  const { output, clock } = context;
  const graceSeconds = parseGrace(call.text("grace"));
  const waiting = readWaiting(call);
  const secretName = call.text("secret");
  // One random request id for all attempts: an answer that was lost is the same answer again.
  const request = {
    ...{ credentialId: call.arg("id"), graceSeconds, requestId: randomUUID() },
    ...(waiting.isOnEvidence && { revokeWhenApplied: true }),
    ...(secretName !== undefined && { secretName }),
  };
  const rotation = await context.rotation();
  const { credentials } = rotation;
  await requireKind(rotation, kind, request.credentialId);
  const answer = await patient(() => credentials.rotateCredential(request), PATIENCE_MS);
  const [credential, replaced] = [answer.credential, answer.replaced].map(requireCredential);
  if (!credential || !replaced) return;
  if (call.flag("json")) {
    const last = waiting.isWaiting
      ? await waitForEvidence(context, replaced.credentialId, waiting.timeoutMs)
      : replaced;
    output.json({
      ...{ value: answer.value, ...credentialToJson(credential) },
      replaced: credentialToJson(last),
    });
    if (waiting.isWaiting) requireEnded(last.evidence);
    return;
  }
  output.line(answer.value);
  output.note(
    `Rotated ${kind.word} ${replaced.credentialId}; the new one is ${credential.credentialId}.`,
  );
  output.note(
    graceSeconds === 0
      ? "The old one has ended."
      : `The old one stays valid beside it until ${replaced.expiresAt?.toISOString() ?? "the secret has the new one"}${waiting.isOnEvidence ? ", or until nobody uses it any more" : ""}.`,
  );
  if (credential.expiresAt)
    output.note(
      `The new one ends ${endWords(credential, clock.now())}, as the old one would have.`,
    );
  if (replaced.evidence) output.note(`${capital(evidenceWords(replaced.evidence, clock.now()))}.`);
  output.note("The new one is shown once: save it now.");
  if (waiting.isWaiting) await tellEnd(context, replaced.credentialId, waiting.timeoutMs);
};

interface RotateWaiting {
  isOnEvidence: boolean;
  isWaiting: boolean;
  timeoutMs: number | undefined;
}

function readWaiting(call: Invocation): RotateWaiting {
  const isOnEvidence = call.flag("revoke-when-applied");
  for (const option of ["wait", "secret", "timeout"])
    if (!isOnEvidence && (option === "wait" ? call.flag(option) : call.text(option) !== undefined))
      throw new UsageError(`--${option} goes with --revoke-when-applied`);
  const timeout = call.text("timeout");
  if (timeout !== undefined && !call.flag("wait"))
    throw new UsageError("--timeout goes with --wait");
  const timeoutMs = timeout === undefined ? undefined : parseDurationMs("--timeout", timeout);
  return { isOnEvidence, isWaiting: call.flag("wait"), timeoutMs };
}

async function tellEnd(
  context: CommandContext,
  credentialId: string,
  timeoutMs: number | undefined,
): Promise<void> {
  const { output, clock } = context;
  const { evidence } = await waitForEvidence(context, credentialId, timeoutMs);
  if (evidence) {
    output.note(`${capital(evidenceWords(evidence, clock.now()))}.`);
    for (const line of laggardLines(evidence)) output.note(`  ${printable(line)}`);
  }
  requireEnded(evidence);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
