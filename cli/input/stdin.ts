import { LocalError } from "../errors";
import { type Terminal } from "../terminal";

/** More than any value or document may hold; the services refuse the rest in their own words. */
const MAX_BYTES = 1024 * 1024;

/** All of standard input. */
export async function readStdin({ stdin }: Pick<Terminal, "stdin">): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BYTES) throw new LocalError("standard input holds more than 1 MiB");
  }
  return Buffer.concat(chunks);
}

/** The bytes as they came, less one newline at the end: the one that `echo` adds. */
export function dropNewline(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}
