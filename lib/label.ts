const MAX_LENGTH = 100;
/** Control characters, halves of pairs, line separators, and what turns the direction of text. */
const CONTROL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** What is wrong with a text that people read in lists, as a sentence about `field`. */
export function labelFault(field: string, text: string): string | undefined {
  if (text.length > MAX_LENGTH) return `${field} exceeds ${MAX_LENGTH} characters`;
  return CONTROL.test(text) ? `${field} must not have control characters` : undefined;
}
