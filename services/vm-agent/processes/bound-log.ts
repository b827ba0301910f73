import { createReadStream, createWriteStream } from "node:fs";
import { stat, truncate } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/**
 * Keeps an agent's output from filling the disk: once `path` is over `maxBytes` its last `maxBytes`
 * become `path.1`, in place of the one before, and it starts again from nothing. The agent goes on
 * writing to the same open file, so what it writes between copy and cut is lost. Together the two
 * take twice the limit, plus what is written until the next call. Never twice at once for a path.
 */
export async function boundLog(path: string, maxBytes: number): Promise<void> {
  const { size } = await stat(path);
  if (size <= maxBytes) return;
  const tail = createReadStream(path, { start: size - maxBytes, end: size - 1 });
  await pipeline(tail, createWriteStream(`${path}.1`, { mode: 0o600 }));
  await truncate(path, 0);
}
