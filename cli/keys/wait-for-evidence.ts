import { type Credential } from "../../gen/murmur/rotation/v1/credentials";
import { type Evidence, EvidenceState } from "../../gen/murmur/rotation/v1/evidence";
import { type CommandContext } from "../command";
import { LocalError } from "../errors";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { evidenceWord, evidenceWords, isOver, laggardLines } from "./evidence";
import { requireCredential } from "./require-kind";

const EVERY_MS = 250;
/** A rotation that is restarted meanwhile is waited for. */
const AWAY_MS = 30_000;

/** Waits until the old credential has ended, or for so long; with what is known of it then. */
export async function waitForEvidence(
  { rotation, output, clock }: CommandContext,
  credentialId: string,
  timeoutMs: number | undefined,
): Promise<Credential> {
  const { credentials } = await rotation();
  const endMs = clock.monotonicMs() + (timeoutMs ?? Infinity);
  for (;;) {
    const answer = await patient(() => credentials.getCredential({ credentialId }), AWAY_MS);
    const credential = requireCredential(answer.credential);
    const { evidence } = credential;
    if (!evidence || isOver(evidence) || clock.monotonicMs() >= endMs) {
      output.live.clear();
      return credential;
    }
    output.live.show(
      [evidenceWords(evidence, clock.now()), ...laggardLines(evidence)].map(printable),
    );
    await clock.sleep(EVERY_MS);
  }
}

/** Throws unless the old one has ended on evidence. */
export function requireEnded(evidence: Evidence | undefined): void {
  if (evidence?.state === EvidenceState.EVIDENCE_STATE_ENDED_ON_EVIDENCE) return;
  if (!evidence) throw new LocalError("nothing is known of the old one's end");
  if (isOver(evidence))
    throw new LocalError(`the old one was not ended on evidence: ${evidenceWord(evidence)}`);
  throw new LocalError(
    "the old one is still held",
    "It ends as soon as it is not; murmur keys show says who holds it.",
  );
}
