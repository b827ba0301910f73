/** Whether a text can be an identity token: one word of visible ASCII, as a header may carry. */
export function isTokenLike(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}
