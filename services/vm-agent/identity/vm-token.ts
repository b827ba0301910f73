import type { Clock } from "../../../lib/clock";
import { sensitive, type Sensitive } from "../../../lib/sensitive";

/** A VM token as this machine holds it. Its life is measured here, by the monotonic clock. */
export interface HeldToken {
  text: Sensitive<string>;
  /** The catalog's time when it was issued, to the second. */
  issuedAt: Date;
  /** Its whole life, milliseconds. */
  lifeMs: number;
  /** When it was asked for, by the monotonic clock: it is no older than that. */
  askedMs: number;
}

/** Takes an issued token apart without judging it: that is for those who are shown it. */
export function holdToken(text: string, askedMs: number): HeldToken {
  const { iat, exp } = JSON.parse(
    Buffer.from(text.split(".")[1] ?? "", "base64url").toString("utf8"),
  ) as { iat?: unknown; exp?: unknown };
  if (typeof iat !== "number" || typeof exp !== "number" || !(exp > iat))
    throw new Error("the catalog issued a token without a life");
  const lifeMs = (exp - iat) * 1000;
  return { text: sensitive(text), issuedAt: new Date(iat * 1000), lifeMs, askedMs };
}

/** Which part of its life a token has behind it; over 1 it has expired. */
export function ageOf(token: HeldToken, clock: Pick<Clock, "monotonicMs">): number {
  return (clock.monotonicMs() - token.askedMs) / token.lifeMs;
}
