/** Whether PostgreSQL can hold a text: it has no NUL, so nothing that has one is there. */
export function isText(text: string): boolean {
  return !text.includes("\0");
}
