const SHOWN_LENGTH = 80;

/** A caller's text within quotes, cut so that an error stays small whatever was sent. */
export function quoted(text: string): string {
  if (text.length <= SHOWN_LENGTH) return `"${text}"`;
  // Half of a surrogate pair is no text.
  return `"${text.slice(0, SHOWN_LENGTH).replace(/[\ud800-\udbff]$/, "")}…"`;
}
