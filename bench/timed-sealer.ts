import { createSealer } from "../lib/audit/sealer";
import type { SigningKey } from "../lib/identity/signing-key";
import type { Db, Pool } from "../lib/postgres/db";
import { createKeptConnection } from "../lib/postgres/kept-connection";

/** The catalog's sealer, and how long after their commit it had records sealed. */
export function startTimedSealer(pool: Pool, signingKey: SigningKey) {
  const lagsMs: number[] = [];
  let batch: number[] = [];
  const kept = createKeptConnection(pool);
  const timed: Db = {
    async query<R extends object>(...call: Parameters<Db["query"]>) {
      const result = await kept.query<R>(...call);
      const name = call[2]?.name;
      if (name === "audit-read-catalog")
        batch = result.rows.flatMap((row) => {
          const { at } = row as { at?: string | null };
          return at ? [Date.parse(at)] : [];
        });
      // From the row's time, a little before the commit.
      if (name === "audit-seal-catalog") for (const at of batch) lagsMs.push(Date.now() - at);
      return result;
    },
  };
  const ending = new AbortController();
  const sealer = createSealer({ db: timed, schema: "catalog", signingKey });
  const running = sealer.run(ending.signal);
  return {
    lagsMs,
    wake: () => {
      sealer.wake();
    },
    stop() {
      ending.abort();
      return running.finally(() => {
        kept.release();
      });
    },
  };
}
