import { Pool as PgPool, types, type ClientBase, type PoolClient } from "pg";
import { silentLog, type Log } from "../log";
import { type Sensitive } from "../sensitive";
import { type Connection, type Pool, type QueryOptions, type QueryResult } from "./db";
import { isConnectionUsable, toDatabaseError } from "./errors";

export interface PoolOptions {
  /** postgres://user:password@host:port/database */
  url: Sensitive<string>;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** Most connections at once. */
  max?: number;
  /** Longest a statement may take; a server that froze is noticed by the same clock. */
  timeoutMs?: number;
  /** Longest wait for a free or a new connection. */
  connectTimeoutMs?: number;
  log?: Log;
}

const CLOSE_TIMEOUT_MS = 2_000;
const INT8 = 20;
const XID8 = 5069;

/**
 * Opens no connection until the first statement. A pool survives any absence of PostgreSQL: calls
 * fail with UNAVAILABLE within the limits above and succeed again when it is back.
 */
export function createPool(options: PoolOptions): Pool {
  const { log = silentLog, timeoutMs = 5_000 } = options;
  const live = new Set<ClientBase>();
  const pool = new PgPool({
    connectionString: options.url.expose(),
    application_name: options.applicationName,
    max: options.max ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 2_000,
    query_timeout: timeoutMs,
    // The server gives up first: the connection is then still good.
    statement_timeout: serverLimit(timeoutMs),
    idle_in_transaction_session_timeout: 60_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: { getTypeParser },
  });
  pool.on("error", (error) => log.warn("idle PostgreSQL connection lost", { error }));
  pool.on("connect", (client) => {
    live.add(client);
    // Without a listener, a connection lost while it is taken out would end the process.
    client.on("error", () => undefined);
  });
  pool.on("remove", (client) => live.delete(client));

  let closing: Promise<void> | undefined;
  const connect = async (): Promise<Connection> => {
    try {
      return toConnection(await pool.connect());
    } catch (error) {
      throw toDatabaseError(error);
    }
  };
  return {
    connect,
    query: async (text, params, queryOptions) => {
      const connection = await connect();
      return connection.query(text, params, queryOptions).finally(() => {
        connection.release();
      });
    },
    close: () => (closing ??= close(pool, live)),
  } as Pool;
}

function toConnection(client: PoolClient): Connection {
  let broken: { error: unknown } | undefined;
  async function query(text: string, params?: readonly unknown[], options: QueryOptions = {}) {
    // It would wait behind the statement that nobody answered, and its caller twice as long.
    if (broken) throw broken.error;
    try {
      const result = await client.query({
        text,
        ...(params && { values: [...params] }),
        ...(options.name !== undefined && { name: options.name }),
        ...(options.timeoutMs !== undefined && { query_timeout: options.timeoutMs }),
      });
      return toResult(result);
    } catch (error) {
      const failure = toDatabaseError(error);
      if (!isConnectionUsable(error)) broken = { error: failure };
      throw failure;
    }
  }
  return {
    query,
    release: (isGivenUp = false) => client.release(isGivenUp || broken !== undefined),
  } as Connection;
}

/** A text of several statements gives several results; the last one counts. */
function toResult(result: {
  rows: object[];
  rowCount: number | null;
  command: string;
}): QueryResult<object> {
  const last = Array.isArray(result) ? (result.at(-1) as typeof result) : result;
  return { rows: last.rows, rowCount: last.rowCount ?? 0, command: last.command };
}

async function close(pool: PgPool, live: Set<ClientBase>): Promise<void> {
  const timer = setTimeout(() => {
    for (const client of live) destroySocket(client);
  }, CLOSE_TIMEOUT_MS);
  const deadline = new Promise<void>((resolve) =>
    setTimeout(resolve, CLOSE_TIMEOUT_MS + 100).unref(),
  );
  // An end that fails leaves sockets, and those the deadline destroys.
  await Promise.race([pool.end().catch(() => undefined), deadline]);
  clearTimeout(timer);
}

/** A frozen server never answers the good-bye; pg has no public way to stop waiting for it. */
function destroySocket(client: ClientBase): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}

function serverLimit(timeoutMs: number): number {
  return Math.max(1, Math.floor(timeoutMs * 0.9));
}

type Parser = (value: string) => unknown;

function getTypeParser(oid: number, format?: "text" | "binary"): Parser {
  if (oid === INT8 || oid === XID8) return BigInt;
  const parserOf = types.getTypeParser as (oid: number, format?: string) => Parser;
  return parserOf(oid, format);
}
