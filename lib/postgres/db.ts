/** The rows of one statement, and how many it touched. */
export interface QueryResult<R> {
  rows: R[];
  rowCount: number;
  /** What the server did: INSERT, UPDATE, COMMIT, ROLLBACK, … */
  command: string;
}

export interface QueryOptions {
  /** Prepares the statement once per connection under this name; the text must never vary. */
  name?: string;
  /** Overrides the pool's time limit for this statement. */
  timeoutMs?: number;
}

/**
 * What a store needs of PostgreSQL, met by a pool, by one of its connections and by a transaction.
 * Values go in as `$1` parameters. `bigint`, `xid8` and `count(*)` come back as `bigint`, `bytea`
 * as Buffer, `timestamptz` as Date. Throws AppError UNAVAILABLE when PostgreSQL is away, ABORTED
 * when the transaction lost a race, and PostgreSQL's own error for everything else.
 */
export interface Db {
  query<R extends object = Record<string, unknown>>(
    text: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
}

/**
 * A connection taken out of the pool. Whoever takes it releases it, as broken when its state is not
 * known: it is then closed instead of used again.
 */
export interface Connection extends Db {
  release(broken?: boolean): void;
}

/** A bounded set of connections. A statement on the pool runs on whichever is free. */
export interface Pool extends Db {
  connect(): Promise<Connection>;
  /** Closes every connection, waiting at most 2 s for those in use. Calling twice is the same. */
  close(): Promise<void>;
}

/** A transaction in progress: what a store method takes when atomicity is part of its contract. */
export interface Tx extends Db {
  readonly isTransaction: true;
}
