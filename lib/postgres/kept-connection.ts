import type { Connection, Db, Pool } from "./db";

/** A connection that is kept out of the pool, for a loop that must not queue behind its callers. */
export interface KeptConnection extends Db {
  /** Gives it back; the next statement takes another. */
  release(): void;
}

/** Takes a connection at its first statement, and another after one that failed. One statement at a time. */
export function createKeptConnection(pool: Pool): KeptConnection {
  let connection: Connection | undefined;
  const release = (isBroken = false) => {
    connection?.release(isBroken);
    connection = undefined;
  };
  return {
    async query(text, params, options) {
      connection ??= await pool.connect();
      try {
        return await connection.query(text, params, options);
      } catch (error) {
        // The pool closes it when it is no good any more.
        release();
        throw error;
      }
    },
    release: () => {
      release();
    },
  };
}
