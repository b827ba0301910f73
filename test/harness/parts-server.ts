import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPartKeeper, type PartKeeper } from "./part-keeper";

export interface PartsServer {
  readonly socketPath: string;
  close(): Promise<void>;
}

/**
 * Answers the test workers from the process that lives as long as the run: each part is started
 * once, at the first question for it, and stopped at the end, whichever worker asked.
 */
export async function startPartsServer(): Promise<PartsServer> {
  const directory = mkdtempSync(join(tmpdir(), "murmur-test-"));
  const socketPath = join(directory, "parts.sock");
  const keeper = createPartKeeper();
  const server = createServer((request, response) => {
    void answer(keeper, request).then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  // Starting Kafka for the first time downloads it.
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const close = async () => {
    await stopListening(server);
    await keeper.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { socketPath, close };
}

async function answer(keeper: PartKeeper, request: IncomingMessage) {
  try {
    const body = JSON.parse(await readBody(request)) as string[];
    const [what = "", ...args] = body;
    return { status: 200, body: await keeper.provide(what, args) };
  } catch (error) {
    return { status: 500, body: { message: error instanceof Error ? error.message : "unknown" } };
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
