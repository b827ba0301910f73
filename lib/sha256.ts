import * as crypto from "node:crypto";

/** Five times as fast; Node 20 has it from 20.12 on. */
const hashAtOnce = crypto.hash as typeof crypto.hash | undefined;

/** The SHA-256 of a text in UTF-8. */
export function sha256(text: string): Buffer {
  return (
    hashAtOnce?.("sha256", text, "buffer") ?? crypto.createHash("sha256").update(text).digest()
  );
}

/** The same in base64. */
export function sha256Base64(text: string): string {
  return (
    hashAtOnce?.("sha256", text, "base64") ??
    crypto.createHash("sha256").update(text).digest("base64")
  );
}
