import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { credentials, makeClientConstructor } from "@grpc/grpc-js";
import { BARE_SERVICE, type Change, type ChangeAnswer } from "./bare-protocol";
import { startRole } from "./child";
import { nowUs } from "./now-us";
import type { Observer } from "./observer";
import { type Path, type Tree, TREE_SIZES } from "./path";

interface BareClient {
  change(
    change: Change,
    done: (error: Error | null, answer: ChangeAnswer | undefined) => void,
  ): unknown;
  close(): void;
}

/** Starts the yardstick on a database: its server, its daemon, and a reader for each agent. */
export async function startBarePath(url: string, observer: Observer): Promise<Path> {
  const directory = mkdtempSync("/dev/shm/murmur-bench-");
  const agents: Record<Tree, string[]> = { one: [], ten: [] };
  for (const tree of ["one", "ten"] as const) {
    for (let at = 0; at < TREE_SIZES[tree]; at++)
      agents[tree].push(join(directory, `${tree}-${at}`));
  }
  const all = [...agents.one, ...agents.ten];
  for (const agent of all) mkdirSync(agent);
  const portFile = join(directory, "port");
  const server = startRole("bare-server", [url, portFile]);
  await until(() => existsSync(portFile) && readFileSync(portFile, "utf8") !== "");
  const address = `127.0.0.1:${readFileSync(portFile, "utf8")}`;
  const daemon = startRole("bare-daemon", [address]);
  const readers = all.map((agent) =>
    startRole("reader", [observer.socketPath, agent], { MURMUR_DIR: agent }),
  );
  const Client = makeClientConstructor(BARE_SERVICE, "Bare");
  const client = new Client(address, credentials.createInsecure()) as unknown as BareClient;
  const call = (change: Change) =>
    new Promise<ChangeAnswer>((resolve, reject) => {
      client.change(change, (error, answer) => {
        if (error) reject(error);
        else if (answer) resolve(answer);
      });
    });
  return {
    async change(tree, round) {
      const calledUs = nowUs();
      const answer = call({ round, agents: agents[tree] });
      const readUs = await observer.lastSeenUs(agents[tree], round);
      const { committedUs, ackedUs } = await answer;
      return { committedToReadUs: readUs - committedUs, calledToAckedUs: ackedUs - calledUs };
    },
    async stop() {
      client.close();
      for (const child of [daemon, server, ...readers]) await child.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error("the yardstick's server did not start");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
