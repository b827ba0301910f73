import { resourceExhausted } from "../../lib/errors";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";

const HEAD_BYTES = 5;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** A message as gRPC frames it: not compressed, its length, its bytes. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The messages in a stream of bytes, however those are cut. We ask for no compression. */
export async function* unframe(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let wanted = HEAD_BYTES;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    // Joined only when a message can be whole: a large one comes in very many parts.
    while (bytes >= wanted) {
      const joined = Buffer.concat(parts);
      const end = messageEnd(joined);
      if (bytes >= end) yield joined.subarray(HEAD_BYTES, end);
      const rest = bytes >= end ? joined.subarray(end) : joined;
      parts = [rest];
      wanted = bytes >= end ? HEAD_BYTES : end;
      bytes = rest.length;
    }
  }
}

function messageEnd(bytes: Buffer): number {
  const end = HEAD_BYTES + bytes.readUInt32BE(1);
  if (end <= MAX_MESSAGE_BYTES) return end;
  throw resourceExhausted(
    ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE,
    `the answer exceeds ${MAX_MESSAGE_BYTES} bytes`,
  );
}
