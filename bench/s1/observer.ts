import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** One reader's word that it has read a round. */
export interface Sighting {
  label: string;
  round: number;
  /** Microseconds since the epoch. */
  atUs: number;
}

/** Hears the readers. */
export interface Observer {
  socketPath: string;
  /** When the last of these readers read this round or a later one, microseconds. */
  lastSeenUs(labels: readonly string[], round: number): Promise<number>;
  close(): void;
}

const PATIENCE_MS = 20_000;

export async function startObserver(): Promise<Observer> {
  const directory = mkdtempSync(join(tmpdir(), "murmur-bench-"));
  chmodSync(directory, 0o755);
  const socketPath = join(directory, "observer.sock");
  const latest = new Map<string, Sighting>();
  const sockets = new Set<Socket>();
  let check: () => void = () => undefined;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    createInterface({ input: socket }).on("line", (line) => {
      const sighting = JSON.parse(line) as Sighting;
      latest.set(sighting.label, sighting);
      check();
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  chmodSync(socketPath, 0o777);
  return {
    socketPath,
    lastSeenUs(labels, round) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          const seen = [...latest.values()].map((it) => `${it.label}: ${it.round}`).join(", ");
          reject(new Error(`round ${round} was not read by ${labels.join(", ")} (${seen})`));
        }, PATIENCE_MS);
        check = () => {
          const seen = labels.map((label) => latest.get(label));
          if (!seen.every((it) => it !== undefined && it.round >= round)) return;
          clearTimeout(timer);
          check = () => undefined;
          resolve(Math.max(...seen.map((it) => it?.atUs ?? 0)));
        };
        check();
      });
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
