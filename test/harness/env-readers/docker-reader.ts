import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

/**
 * What the docker CLI makes of `--env-file`: it parses the file itself and sends the result to its
 * engine, so an engine that only listens shows it.
 */
export async function readWithDocker(
  docker: string,
  path: string,
): Promise<ReadonlyMap<string, Buffer>> {
  const directory = mkdtempSync(join(tmpdir(), "murmur-engine-"));
  const socket = join(directory, "engine.sock");
  const engine = listeningEngine();
  await new Promise<void>((resolve) => engine.server.listen(socket, resolve));
  try {
    const args = ["create", "--pull", "never", "--env-file", path, "image"];
    const env = { ...process.env, DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: directory };
    await run(docker, args, { env, timeout: TIMEOUT_MS });
    return new Map(engine.received().map(toEntry));
  } finally {
    engine.server.closeAllConnections();
    await new Promise((resolve) => engine.server.close(resolve));
    rmSync(directory, { recursive: true });
  }
}

function listeningEngine(): { server: Server; received: () => string[] } {
  let environment: string[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const isCreate = request.url?.includes("/containers/create") === true;
      if (isCreate) environment = (JSON.parse(body) as { Env: string[] | null }).Env ?? [];
      response.setHeader("Api-Version", "1.41").setHeader("Content-Type", "application/json");
      response.statusCode = isCreate ? 201 : 200;
      response.end(isCreate ? '{"Id":"c1","Warnings":[]}' : "OK");
    });
  });
  return { server, received: () => environment };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function toEntry(assignment: string): [string, Buffer] {
  const equals = assignment.indexOf("=");
  return [assignment.slice(0, equals), Buffer.from(assignment.slice(equals + 1))];
}
