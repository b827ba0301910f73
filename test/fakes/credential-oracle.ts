import {
  CredentialFault,
  type VerifyCredentialResponse,
} from "../../gen/murmur/rotation/v1/credentials";

/** Some time between the two, milliseconds since the epoch by the database's clock. */
export interface Span {
  fromMs: number;
  toMs: number;
}

/** What callers were told of a credential, and nothing else. */
export interface Known {
  id: string;
  value: string;
  label: string;
  /** When it ends by itself; Infinity: never. */
  end: Span;
  /** When somebody ended it, for good; none: nobody did. */
  ended?: Span;
  /** It has a successor: it is not rotated again. */
  isReplaced?: true;
  /** The end that it had, which may be told for as long as replicas answer from memory. */
  hadEnd?: { end: Span; untilMs: number };
}

export const at = (ms: number): Span => ({ fromMs: ms, toMs: ms });
export const NEVER = at(Infinity);

/** What was known when a question was asked. */
export interface Asked {
  it: Known;
  end: Span;
  wasEnded: boolean;
  isOver: boolean;
}

export function ask(it: Known, nowMs: number): Asked {
  const isOver = (it.ended !== undefined && it.ended.toMs <= nowMs) || it.end.toMs <= nowMs;
  return { it, end: it.end, wasEnded: it.ended !== undefined, isOver };
}

/**
 * What is wrong with an answer; undefined: nothing. Where a credential ended, or may have, while the
 * question was on its way, both answers are right.
 */
export function judge(
  { it, end, wasEnded, isOver }: Asked,
  answer: VerifyCredentialResponse,
  { fromMs, toMs }: Span,
): string | undefined {
  const earliestMs = Math.min(it.end.fromMs, end.fromMs);
  const mayBeOver = isOver || wasEnded || it.ended !== undefined || earliestMs <= toMs;
  const { valid, credential, validForMs } = answer;
  if (valid && isOver) return "called valid after its end";
  if (!valid && !mayBeOver) return "called ended before its end";
  if (!valid)
    return answer.fault === CredentialFault.CREDENTIAL_FAULT_UNKNOWN ? "not known" : undefined;
  if (credential?.credentialId !== it.id || credential.label !== it.label) return "another one";
  const hadEndMs = it.hadEnd && fromMs < it.hadEnd.untilMs ? it.hadEnd.end.toMs : -Infinity;
  const latestMs = Math.max(it.end.toMs, end.toMs, hadEndMs);
  const endMs = validForMs === undefined ? Infinity : fromMs + Number(validForMs);
  return endMs > latestMs ? "said to be valid for longer than it is" : undefined;
}
