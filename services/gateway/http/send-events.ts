import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { isAppError } from "../../../lib/errors";
import type { ServerSentEvent } from "../routes/route";

/** Often enough for what closes quiet connections, and to notice a client that is gone. */
const PING_MS = 15_000;
/** After so long a browser asks again. */
const RETRY_MS = 1_000;

/**
 * Writes events until there are no more, their time is up or the signal aborts, no faster than the client reads. Never
 * throws: an answer that has begun can only end, and the client asks again.
 */
export async function sendEvents(
  response: ServerResponse,
  events: AsyncIterable<ServerSentEvent>,
  signal: AbortSignal,
): Promise<{ failed?: unknown }> {
  const ping = setInterval(() => {
    if (!response.writableNeedDrain) response.write(": ping\n\n");
  }, PING_MS);
  try {
    response.write(`retry: ${RETRY_MS}\n\n`);
    for await (const { id, event, data } of events) {
      const text = `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
      if (!response.write(text)) await once(response, "drain", { signal });
    }
    return {};
  } catch (error) {
    // Long streams end by their deadline: that is no fault, and the client goes on with the next.
    const isOver = signal.aborted || isAppError(error, "DEADLINE_EXCEEDED");
    return isOver ? {} : { failed: error };
  } finally {
    clearInterval(ping);
    response.end();
  }
}
