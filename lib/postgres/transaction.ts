import { retry } from "../retry";
import { type Connection, type Pool, type Tx } from "./db";
import { isLostRace } from "./errors";

/**
 * Runs `fn` in one transaction (read committed) and commits what it did; rolls back and rethrows
 * when it throws. Nothing is repeated. A connection that is lost during the commit gives
 * UNAVAILABLE with an unknown outcome, which is why writes that may be repeated carry a request id.
 */
export async function withTransaction<T>(pool: Pool, fn: (tx: Tx) => Promise<T>): Promise<T> {
  const connection = await pool.connect();
  let isBroken = false;
  try {
    await connection.query("begin isolation level read committed");
    const result = await fn(toTx(connection));
    await commit(connection);
    return result;
  } catch (error) {
    isBroken = !(await rollback(connection));
    throw error;
  } finally {
    connection.release(isBroken);
  }
}

/** withTransaction, repeated within `deadlineMs` when it loses to another (40001, 40P01). */
export async function withTransactionRetry<T>(
  pool: Pool,
  fn: (tx: Tx) => Promise<T>,
  { deadlineMs = 5_000 }: { deadlineMs?: number } = {},
): Promise<T> {
  return retry(() => withTransaction(pool, fn), {
    deadlineMs,
    initialMs: 5,
    maxMs: 200,
    shouldRetry: isLostRace,
  });
}

function toTx(connection: Connection): Tx {
  return { isTransaction: true, query: (...args) => connection.query(...args) };
}

async function commit(connection: Connection): Promise<void> {
  // PostgreSQL answers the commit of a failed transaction with a rollback and no error: a statement
  // whose error was swallowed must not look like success.
  const { command } = await connection.query("commit");
  if (command !== "COMMIT")
    throw new Error("transaction was rolled back: a statement in it failed");
}

/** Whether the connection is good again. */
async function rollback(connection: Connection): Promise<boolean> {
  try {
    await connection.query("rollback");
    return true;
  } catch {
    // The caller gets the error that led here; the connection is closed and PostgreSQL rolls back.
    return false;
  }
}
