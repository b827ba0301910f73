import type { Connection, Pool, QueryOptions } from "../postgres/db";
import type { AuditSchema } from "./audit-rows";

/**
 * The same pool, which says when audit records were committed through it. Said at most a little too
 * often, as a statement that mentions the table may have written nothing.
 */
export function watchAudit(pool: Pool, schema: AuditSchema, onCommitted: () => void): Pool {
  const table = `insert into ${schema}.audit (`;
  return {
    async query<R extends object>(text: string, params?: readonly unknown[], more?: QueryOptions) {
      const result = await pool.query<R>(text, params, more);
      if (text.includes(table)) onCommitted();
      return result;
    },
    connect: async () => watchConnection(await pool.connect(), table, onCommitted),
    close: () => pool.close(),
  };
}

function watchConnection(connection: Connection, table: string, onCommitted: () => void) {
  let hasWritten = false;
  return {
    async query<R extends object>(text: string, params?: readonly unknown[], more?: QueryOptions) {
      const result = await connection.query<R>(text, params, more);
      hasWritten ||= text.includes(table);
      if (hasWritten && result.command === "COMMIT") {
        hasWritten = false;
        onCommitted();
      }
      return result;
    },
    release: (broken?: boolean) => {
      connection.release(broken);
    },
  };
}
