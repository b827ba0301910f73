import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** Below the ports that kernels hand out themselves, and above those of well-known programs. */
const FIRST = 10_000;
const COUNT = 22_000;
const ATTEMPTS = 200;

/**
 * A loopback port that is free, and stays so until somebody who asked for it listens there: the
 * kernel gives it to no connection and to nobody who listens on port 0, and no other process gets
 * it from here for as long as this one lives. With `more` the same holds of so many ports above it.
 */
export async function freePort(more = 0): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const all = Array.from({ length: more + 1 }, (_, n) => port + n);
    const taken = await Promise.all(all.map(async (it) => (await reserve(it)) && isFree(it)));
    if (taken.every(Boolean)) return port;
  }
  throw new Error(`no free port from ${FIRST} to ${FIRST + COUNT - 1}`);
}

/** Takes the UDP port of the same number, which nobody uses, until this process ends. */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => {
      socket.unref();
      resolve(true);
    });
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
