import fc from "fast-check";
import { startSealer, verifyStored, writeRecords } from "../../test/harness/audit";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { generateSigningKey } from "../identity/signing-key";
import type { Tx } from "../postgres/db";
import { withTransaction } from "../postgres/transaction";
import { createStoredChainReader } from "./chain-reader";
import type { ChainReport, FaultKind } from "./chain-report";
import { type Checkpoint, signCheckpoint } from "./checkpoint";
import { type AuditRecord, type ChainHead, linkHash } from "./record";
import type { VerifyOptions } from "./verify-chain";

const TENANT = "t1";
const CHAIN = { service: "catalog", tenantId: TENANT };
/** In three parts, each signed. */
const SIZE = 12;
const SIGNED = [4, 8, 12];
/** When links that nobody signed are old. */
const LATER = new Date(Date.now() + 3_600_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("catalog");
  const { pool } = database;
  for (let part = 0; part < SIGNED.length; part++) {
    const objects = [0, 1, 2, 3].map((at) => `${part}/${at}`);
    await writeRecords(pool, TENANT, ...objects);
    await writeRecords(pool, "t2", ...objects);
    const { end } = startSealer({ db: pool });
    await eventually(async () => {
      for (const tenantId of [TENANT, "t2"]) {
        const report = await verifyStored(pool, tenantId);
        expect(report.signed?.size).toBe(BigInt(SIGNED[part] ?? 0));
      }
    });
    await end();
  }
});
afterAll(() => database.drop());

class RolledBack extends Error {}

/** What an auditor says after somebody who may do all did this; nothing of it stays. */
async function afterwards(
  tamper: (tx: Tx) => Promise<unknown>,
  options: Partial<VerifyOptions> = {},
): Promise<ChainReport> {
  let report: ChainReport | undefined;
  await withTransaction(database.pool, async (tx) => {
    await tx.query("set local session_replication_role = replica");
    await tamper(tx);
    report = await verifyStored(tx, TENANT, { now: LATER, ...options });
    throw new RolledBack();
  }).catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error;
  });
  if (!report) throw new Error("nothing was verified");
  return report;
}

const run =
  (sql: string, ...params: unknown[]) =>
  (tx: Tx) =>
    tx.query(sql, params);
const OF = (sequence: number) =>
  `(select audit_id from catalog.audit_chain where tenant_id = '${TENANT}' and sequence = ${sequence})`;
const WHERE = (sequence: number) => `where tenant_id = '${TENANT}' and id = ${OF(sequence)}`;
const AT = (sequence: number) => `where tenant_id = '${TENANT}' and sequence = ${sequence}`;
const summary = ({ faults }: ChainReport) =>
  faults.map(({ kind, sequence }) => `${kind} ${String(sequence)}`);

it("finds nothing in what nobody touched", async () => {
  const report = await afterwards(() => Promise.resolve());
  expect(report).toMatchObject({
    ...{ faults: [], faultCount: 0, checkpoints: 3, unsealed: { count: 0 } },
    end: { size: BigInt(SIZE) },
  });
  expect(report.signed?.size).toBe(BigInt(SIZE));
});

const COLUMNS: Record<string, string> = {
  ...{ at: "at + interval '1 microsecond'", actor_kind: "'vm'", actor_id: "actor_id || ' '" },
  ...{ peer: "''", action: "upper(action)", object_kind: "'vm'", object_id: "object_id || '0'" },
  ...{ outcome: "'refused'", detail: `'{"version": 2}'`, xid: "(xid::text::int8 + 1)::text::xid8" },
};
const anySequence = fc.integer({ min: 1, max: SIZE });

it("names a record of which any one column was changed", async () => {
  const anyColumn = fc.constantFrom(...Object.keys(COLUMNS));
  await fc.assert(
    fc.asyncProperty(anySequence, anyColumn, async (sequence, column) => {
      const sql = `update catalog.audit set ${column} = ${COLUMNS[column] ?? ""} ${WHERE(sequence)}`;
      const report = await afterwards(run(sql));
      expect(report.faults[0]).toMatchObject({ sequence: BigInt(sequence) });
      expect(["changed", "reordered"]).toContain(report.faults[0]?.kind);
    }),
    { numRuns: 40 },
  );
});

it("names a record that was removed, with and without its link", async () => {
  await fc.assert(
    fc.asyncProperty(anySequence, fc.boolean(), async (sequence, alsoLink) => {
      const report = await afterwards(async (tx) => {
        await tx.query(`delete from catalog.audit ${WHERE(sequence)}`);
        if (alsoLink) await tx.query(`delete from catalog.audit_chain ${AT(sequence)}`);
      });
      const isEnd = alsoLink && sequence === SIZE;
      expect(summary(report)).toEqual(
        isEnd ? ["truncated 12", "unsigned 9"] : [`missing ${sequence}`],
      );
    }),
    { numRuns: 20 },
  );
});

it("names records whose places or contents were swapped", async () => {
  const two = fc.uniqueArray(anySequence, { minLength: 2, maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(two, fc.boolean(), async ([a = 1, b = 2], isContent) => {
      const report = await afterwards((tx) => swap(tx, a, b, isContent));
      const named = report.faults.map(({ sequence }) => sequence);
      // A place that comes after what belongs behind it, and the first that does not fit.
      expect(named).toContain(BigInt(Math.min(a, b)));
      expect(report.faultCount).toBeGreaterThan(1);
    }),
    { numRuns: 20 },
  );
});

async function swap(tx: Tx, a: number, b: number, isContent: boolean): Promise<void> {
  if (isContent) {
    await tx.query(
      `update catalog.audit as x set object_id = y.object_id, at = y.at from catalog.audit as y
       where x.tenant_id = $1 and y.tenant_id = $1
         and (x.id, y.id) in ((${OF(a)}, ${OF(b)}), (${OF(b)}, ${OF(a)}))`,
      [TENANT],
    );
    return;
  }
  const { rows } = await tx.query<{ a: bigint; b: bigint }>(`select ${OF(a)} as a, ${OF(b)} as b`);
  const set = (sequence: number, id: bigint) =>
    tx.query(`update catalog.audit_chain set audit_id = $1 ${AT(sequence)}`, [id]);
  await set(a, -1n);
  await set(b, rows[0]?.a ?? 0n);
  await set(a, rows[0]?.b ?? 0n);
}

it("names a record that was put in behind the chain's back, by its id", async () => {
  await fc.assert(
    fc.asyncProperty(anySequence, async (sequence) => {
      const report = await afterwards(
        run(`insert into catalog.audit (xid, tenant_id, actor_kind, actor_id, peer, action,
            object_kind, object_id, outcome)
          select xid, tenant_id, 'developer', 'github/mallory', '', 'secret.set', 'secret', 'X', 'ok'
          from catalog.audit ${WHERE(sequence)}`),
      );
      expect(summary(report)).toEqual(["inserted undefined"]);
      expect(report.unsealed.count).toBe(1);
    }),
    { numRuns: 10 },
  );
});

it("names what was rewritten with all hashes made anew, from the last checkpoint that fits", async () => {
  await fc.assert(
    fc.asyncProperty(anySequence, async (sequence) => {
      const report = await afterwards(async (tx) => {
        await tx.query(`update catalog.audit set actor_id = 'github/bob' ${WHERE(sequence)}`);
        await rehash(tx);
      });
      const since = Math.floor((sequence - 1) / 4) * 4 + 1;
      const broken = SIGNED.filter((size) => size >= sequence).map(() => `rewritten ${since}`);
      expect(summary(report)).toEqual([...broken, `unsigned ${since}`]);
    }),
    { numRuns: 12 },
  );
});

/** What somebody does who knows how the hashes are made, and has no key. */
async function rehash(tx: Tx): Promise<ChainHead> {
  const links: { sequence: bigint; epoch: number; record: AuditRecord }[] = [];
  for await (const link of createStoredChainReader(tx, "catalog", TENANT).links(0n))
    if (link.record) links.push({ ...link, record: link.record });
  let hash: Buffer = Buffer.alloc(0);
  for (const { sequence, epoch, record } of links) {
    hash = linkHash(CHAIN, { sequence, epoch }, hash, record);
    await tx.query(`update catalog.audit_chain set hash = $1 ${AT(Number(sequence))}`, [hash]);
  }
  return { size: BigInt(links.length), hash };
}

it("names the end of a chain that was cut off, by the checkpoints that are left", async () => {
  const report = await afterwards(run(`delete from catalog.audit_chain where sequence > 9`));
  expect(summary(report)).toEqual([
    ...["truncated 10", "unsigned 9"],
    ...Array<string>(3).fill("inserted undefined"),
  ]);
});

it("says from where on nothing is vouched for when checkpoints are gone", async () => {
  const report = await afterwards(run("delete from catalog.audit_checkpoints where size > 4"));
  expect(summary(report)).toEqual(["unsigned 5"]);
});

describe("a checkpoint that was kept elsewhere", () => {
  const kept = async (): Promise<Checkpoint[]> => {
    const { signed } = await verifyStored(database.pool, TENANT);
    return signed ? [signed] : [];
  };

  it("finds that all of the end is gone, with its checkpoints", async () => {
    const known = await kept();
    const report = await afterwards(
      async (tx) => {
        for (const table of ["audit_checkpoints where size", "audit_chain where sequence"])
          await tx.query(`delete from catalog.${table} > 4`);
        await tx.query(
          `delete from catalog.audit where tenant_id = $1 and not exists (select
          from catalog.audit_chain c where c.audit_id = audit.id)`,
          [TENANT],
        );
      },
      { known },
    );
    expect(summary(report)).toEqual(["truncated 5"]);
    expect(report.faults[0]?.message).toBe(
      "records #5 to #12 missing: the chain ends before what was signed",
    );
  });

  it("finds a chain that was made anew under a key of one's own", async () => {
    const known = await kept();
    const own = generateSigningKey("murmur-catalog");
    const report = await afterwards(
      async (tx) => {
        await tx.query(`update catalog.audit set actor_id = 'github/bob' ${WHERE(2)}`);
        const head = await rehash(tx);
        const { time, keyId, signature } = signCheckpoint(
          own,
          CHAIN,
          head,
          "2030-01-01T00:00:00.000000Z",
        );
        await tx.query("delete from catalog.audit_checkpoints");
        await tx.query(
          "insert into catalog.audit_checkpoints values ($1, $2, $3, $4::timestamptz, $5, $6)",
          [TENANT, head.size, head.hash, time, keyId, signature],
        );
      },
      { known },
    );
    expect(report.unknownKeys).toEqual([own.kid]);
    expect(summary(report)).toEqual(["rewritten 1", "unsigned 1"]);
  });
});

it.each<[string, string, FaultKind]>([
  ["another size", "size = 11", "checkpoint"],
  ["another time", "at = at + interval '1 microsecond'", "checkpoint"],
  ["another hash", "head = sha256('')", "checkpoint"],
  ["another signature", "signature = sha512('')", "checkpoint"],
])("a checkpoint with %s is not one of the service", async (_, change, kind) => {
  const report = await afterwards(
    run(`update catalog.audit_checkpoints set ${change} where size = 12 and tenant_id = 't1'`),
  );
  expect(report.faults[0]?.kind).toBe(kind);
});

it("a checkpoint of another tenant or service vouches for nothing here", async () => {
  const report = await afterwards(async (tx) => {
    await tx.query("delete from catalog.audit_checkpoints where tenant_id = 't1'");
    await tx.query("update catalog.audit_checkpoints set tenant_id = 't1'");
  });
  expect(summary(report)).toEqual([...SIGNED.map((size) => `checkpoint ${size}`), "unsigned 1"]);
  const { faults } = await afterwards(() => Promise.resolve(), {
    chain: { ...CHAIN, service: "rotation" },
  });
  expect(faults.length).toBeGreaterThan(0);
});

it("a link's hash is over these bytes", () => {
  const record: AuditRecord = {
    ...{ recordId: 7n, transactionId: 8n, time: "2030-01-31T12:00:00.123456Z" },
    ...{ actorKind: "developer", actorId: "github/älice", peer: "127.0.0.1:1" },
    ...{ action: "secret.set", objectKind: "secret", objectId: "A", outcome: "ok" },
    detail: '{"version": 1}',
  };
  expect(
    linkHash(CHAIN, { sequence: 2n, epoch: 1 }, Buffer.alloc(32, 1), record).toString("hex"),
  ).toBe("a13ccd2c2a2f4c856a4fc367f452cb8982b01251cb962d109013eca503651a62");
});
