import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { type Clock, systemClock } from "../../../lib/clock";
import { permissionDenied, resourceExhausted } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type Log, silentLog } from "../../../lib/log";
import { readPeer } from "../linux/peer";
import { type SystemCalls } from "../linux/system-calls";
import { errnoOf } from "../linux/errno";
import { type CallerFacts, identifyCaller } from "./identify-caller";
import { LocalConnection, type ConnectionLimits } from "./local-connection";
import { type LocalHandlers } from "./local-handlers";

export interface LocalSocketDeps extends CallerFacts {
  /** Where the socket is made, `<runDir>/agent.sock`; at most 107 bytes. */
  path: string;
  systemCalls: Pick<SystemCalls, "peerCredentials" | "peerPidFd">;
  handlers: LocalHandlers;
  clock?: Clock;
  log?: Log;
  limits?: Partial<SocketLimits>;
}

export interface SocketLimits extends ConnectionLimits {
  /** Open connections in all. */
  connections: number;
  /** Open connections of one agent, and of all operators. */
  connectionsPerCaller: number;
  /** Refused callers that are waited for, until they have read why. */
  refusals: number;
}

const LIMITS: SocketLimits = {
  ...{ connections: 1024, connectionsPerCaller: 16, refusals: 64, requests: 100 },
  ...{ lineBytes: 1024 * 1024, requestMs: 10_000, answerMs: 60_000 },
};
/** In place of a caller's name: that of no agent. */
const REFUSED = "refused";
/** The room for a path in a unix socket's address, less its end. */
const MAX_PATH_BYTES = 107;

/**
 * Serves the agents of this machine (see protocol.ts). Anybody may connect, since the file says
 * 0666 in a directory that only the daemon's user can change; who is asking is then decided by the
 * peer's process. `start` needs to be the only daemon of its directory (lockDirectory).
 */
export class LocalSocketServer {
  readonly #deps: Required<Omit<LocalSocketDeps, "limits">> & { limits: SocketLimits };
  readonly #server: Server;
  readonly #connections = new Map<LocalConnection, string>();

  constructor(deps: LocalSocketDeps) {
    const limits = { ...LIMITS, ...deps.limits };
    this.#deps = { clock: systemClock, log: silentLog, ...deps, limits };
    // Half open: a caller may end its side after the request and still read the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#accept(socket);
    });
    this.#server.maxConnections = limits.connections;
  }

  /** Listens, in place of the socket of a daemon that was killed. */
  async start(): Promise<void> {
    const { path } = this.#deps;
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
      throw new Error(`the socket's path has over ${MAX_PATH_BYTES} bytes: ${path}`);
    }
    removeStaleSocket(path);
    this.#server.listen(path);
    await once(this.#server, "listening");
    chmodSync(path, 0o666);
    this.#server.on("error", (error) => {
      this.#deps.log.error("local socket failed", { error });
    });
  }

  /** How many connections are open. */
  get openConnections(): number {
    return this.#connections.size;
  }

  /** Ends every connection and removes the socket. */
  async stop(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : undefined;
    this.#server.close();
    for (const connection of this.#connections.keys()) connection.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    // Without a listener, a caller that vanishes would end the daemon.
    socket.on("error", () => socket.destroy());
    try {
      this.#admit(socket);
    } catch (error) {
      this.#deps.log.warn("local connection refused", { error });
      socket.destroy();
    }
  }

  #admit(socket: Socket): void {
    const fd = fdOf(socket);
    const peer = fd === undefined ? undefined : readPeer(this.#deps.systemCalls, fd);
    if (!peer) {
      socket.destroy();
      return;
    }
    const caller = identifyCaller(peer, this.#deps);
    const name = caller?.kind === "agent" ? caller.agentId : "operator";
    const refusal = caller ? this.#tooMany(name) : notOfAnAgent();
    const connection = new LocalConnection({ ...this.#deps, socket, peer });
    const isCrowded = this.#count(REFUSED) >= this.#deps.limits.refusals;
    this.#connections.set(connection, refusal ? REFUSED : name);
    socket.once("close", () => {
      this.#connections.delete(connection);
      peer.release();
    });
    if (!refusal) void connection.serve();
    // Anybody may connect, and must not keep agents out by being refused.
    else if (isCrowded) connection.refuseAtOnce(refusal);
    else void connection.refuse(refusal);
  }

  #tooMany(name: string): Error | undefined {
    return this.#count(name) >= this.#deps.limits.connectionsPerCaller ? tooMany() : undefined;
  }

  #count(name: string): number {
    return [...this.#connections.values()].filter((each) => each === name).length;
  }
}

function notOfAnAgent(): Error {
  return permissionDenied("the caller is not a process of an agent");
}

function tooMany(): Error {
  const reason = ErrorReason.ERROR_REASON_LIMIT_REACHED;
  return resourceExhausted(reason, "the caller has too many connections");
}

/** Node keeps the descriptor of an accepted socket to itself. */
function fdOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** A killed daemon leaves its socket behind; anything else of that name is not ours to remove. */
function removeStaleSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) rmSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
