const DEVELOPER = /^[a-z0-9-]+\/[A-Za-z0-9._-]+$/;
const MAX_BYTES = 255;

/** Whether a text can name a developer: `provider/username`, the subject of an identity token. */
export function isDeveloperName(text: string): boolean {
  return text.length <= MAX_BYTES && DEVELOPER.test(text);
}
