import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  CredentialServiceService,
  VerifyCredentialRequest,
  VerifyCredentialResponse,
  VerifyCredentialsRequest,
  VerifyCredentialsResponse,
} from "../gen/murmur/rotation/v1/credentials";
import { type BenchRotation, withRotation } from "./bench-rotation";
import type { BenchOptions } from "./benches";
import { withDatabaseOf } from "./catalog-database";
import type { CredentialValue } from "../lib/identity/credential-value";
import { type Figure, percentile, type Run, toFigure } from "./harness";
import { compareRates, type Work } from "./rate";
import { startEcho } from "./s3-fetch";

const BATCH = 64;
const CALLERS = 16;
const MEASURE_MS = 5_000;
const IN_PROCESS_AT_ONCE = 500;
const ENDS = 200;
/** S1's p99. */
const END_MARK_MS = 100;

/** S4: how many verifications a second, from far, many at once, and in the caller's own process; how soon an end is felt. */
export async function benchS4({ runs, say }: BenchOptions): Promise<Figure[]> {
  return withDatabaseOf("rotation", (_url, pool) =>
    withRotation(pool, async (rotation) => {
      const figures: Figure[] = [];
      for (const measure of [measureRemote, measureBatched, measureInProcess]) {
        const { init, work } = await measure(rotation);
        say(`  ${init.name}`);
        const rates = [];
        await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS / 5 });
        for (let run = 0; run < runs; run++)
          rates.push(await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS }));
        work.stop?.();
        figures.push(toFigure({ id: "S4", unit: "1/s", ...init }, rates));
      }
      figures.push(await measureEnds(rotation, { runs, say }));
      return figures;
    }),
  );
}

interface Measured {
  init: { name: string; mark: { atLeast: number }; notes: string[] };
  work: { ours: Work; yardstick: Work; stop?: () => void };
}

async function measureRemote({ values, remote }: BenchRotation): Promise<Measured> {
  const { path } = CredentialServiceService.verifyCredential;
  const requests = values.map(({ text }) =>
    Buffer.from(VerifyCredentialRequest.encode({ value: text.expose() }).finish()),
  );
  const [first = Buffer.alloc(0)] = requests;
  const answer = await remote(path, first);
  const echo = await startEcho(first, answer);
  let next = 0;
  return {
    init: {
      ...{ name: "VerifyCredential, remote", mark: { atLeast: 0.8 } },
      notes: [`yardstick: a bare echo, ${first.length} bytes asked, ${answer.length} answered`],
    },
    work: {
      ours: async () => {
        const bytes = await remote(path, requests[next++ % requests.length] ?? first);
        if (!VerifyCredentialResponse.decode(bytes).valid) throw new Error("not valid");
      },
      yardstick: () => echo.call(),
      stop: () => {
        echo.stop();
      },
    },
  };
}

async function measureBatched({ values, remote, pool }: BenchRotation): Promise<Measured> {
  const { path } = CredentialServiceService.verifyCredentials;
  const batches = Array.from({ length: Math.floor(values.length / BATCH) }, (_, at) =>
    values.slice(at * BATCH, (at + 1) * BATCH),
  );
  const requests = batches.map((batch) => {
    const message = { values: batch.map(({ text }) => text.expose()) };
    return Buffer.from(VerifyCredentialsRequest.encode(message).finish());
  });
  const hashes = batches.map((batch) => batch.map((value) => value.hash));
  let next = 0;
  return Promise.resolve({
    init: {
      ...{ name: `VerifyCredentials, ${BATCH} at a time`, mark: { atLeast: 0.5 } },
      notes: ["calls a second; yardstick: one query with = any($1)"],
    },
    work: {
      ours: async () => {
        const bytes = await remote(path, requests[next++ % requests.length] ?? Buffer.alloc(0));
        const { answers } = VerifyCredentialsResponse.decode(bytes);
        if (answers.length !== BATCH || !answers.every(({ valid }) => valid))
          throw new Error("not valid");
      },
      yardstick: () =>
        pool.query(
          `select credential_id, kind, label, scopes, expires_at, revoked_at
           from rotation.credentials where hash = any($1::bytea[])`,
          [hashes[next++ % hashes.length]],
          { name: "bench-any" },
        ),
    },
  });
}

function measureInProcess({ values, inProcess }: BenchRotation): Promise<Measured> {
  const texts = values.map(({ text }) => text.expose());
  return Promise.resolve({
    init: {
      ...{ name: `in the caller's process, ${IN_PROCESS_AT_ONCE} in turn`, mark: { atLeast: 0.2 } },
      notes: ["yardstick: crypto.hash of the value"],
    },
    work: {
      ours: async () => {
        for (const value of values.slice(0, IN_PROCESS_AT_ONCE))
          if (!(await inProcess(value)).valid) throw new Error("not valid");
      },
      yardstick: () => {
        for (const text of texts.slice(0, IN_PROCESS_AT_ONCE)) hash("sha256", text, "buffer");
        // As the other, it lets other work have its turn.
        return new Promise<void>((resolve) => setImmediate(resolve));
      },
    },
  });
}

/**
 * How long after an end was committed a value that is remembered in the caller's own process is refused
 * there, while it hears of changes.
 */
async function measureEnds(
  { values, inProcess, pool }: BenchRotation,
  { runs, say }: Pick<BenchOptions, "runs" | "say">,
): Promise<Figure> {
  say("  ends, felt in the caller's process");
  const left = [...values];
  const feel = async (value: CredentialValue): Promise<number> => {
    for (let asked = 0; asked < 2; asked++)
      if (!(await inProcess(value)).valid) throw new Error("not valid");
    await pool.query(
      "update rotation.credentials set revoked_at = clock_timestamp() where hash = $1",
      [value.hash],
    );
    const endedMs = performance.now();
    while ((await inProcess(value)).valid) await delay(1);
    return performance.now() - endedMs;
  };
  const all: Run[] = [];
  let p50 = 0;
  for (let run = 0; run < runs; run++) {
    const times: number[] = [];
    for (const value of left.splice(-ENDS)) times.push(await feel(value));
    p50 = Math.max(p50, percentile(times, 0.5));
    all.push({ ours: percentile(times, 0.99), yardstick: END_MARK_MS });
  }
  return toFigure(
    {
      ...{ id: "S4", name: "an end is felt in the caller's process, p99", unit: "ms" },
      ...{ mark: { atMost: 1 }, notes: [`of ${ENDS}; p50 ${p50.toFixed(1)} ms; mark: that of S1`] },
    },
    all,
  );
}
