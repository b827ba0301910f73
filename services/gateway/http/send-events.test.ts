import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { deadlineExceeded, unavailable } from "../../../lib/errors";
import type { ServerSentEvent } from "../routes/route";
import { sendEvents } from "./send-events";

const EVENT: ServerSentEvent = { id: "1", event: "progress", data: { at: 1 } };

/** What a client gets of one event and what comes of it behind. */
async function serve(then: () => unknown, signal = new AbortController().signal) {
  async function* events(): AsyncGenerator<ServerSentEvent> {
    yield EVENT;
    await Promise.resolve();
    const error = then();
    if (error !== undefined) throw error as Error;
  }
  let sent: Promise<{ failed?: unknown }> | undefined;
  const server = createServer((_request, response: ServerResponse) => {
    sent = sendEvents(response, events(), signal);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const text = await (await fetch(`http://127.0.0.1:${port}/`)).text();
    return { text, outcome: await sent };
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("an event stream", () => {
  it("that is over is whole, and no fault", async () => {
    const { text, outcome } = await serve(() => undefined);
    expect(text).toBe(`retry: 1000\n\nid: 1\nevent: progress\ndata: {"at":1}\n\n`);
    expect(outcome).toEqual({});
  });

  it("whose time is up ends like one that is over: the client asks again", async () => {
    const { text, outcome } = await serve(() => deadlineExceeded());
    expect(text).toContain("event: progress");
    expect(outcome).toEqual({});
  });

  it("that breaks ends for the client, and is a fault for the log", async () => {
    const broken = unavailable("rotation is away");
    const { text, outcome } = await serve(() => broken);
    expect(text).toContain("event: progress");
    expect(outcome).toEqual({ failed: broken });
  });
});
