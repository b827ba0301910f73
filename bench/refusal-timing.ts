import { randomInt, randomUUID } from "node:crypto";
import { Agent, type IncomingMessage, request } from "node:http";
import { once } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { PeopleServiceService } from "../gen/murmur/rotation/v1/people";
import { openChannel } from "../lib/grpc/client";
import { createCredentialValue } from "../lib/identity/credential-value";
import { generateSigningKey } from "../lib/identity/signing-key";
import type { Pool } from "../lib/postgres/db";
import { createGateway } from "../services/gateway/gateway";
import type { BenchOptions } from "./benches";
import { withDatabaseOf } from "./catalog-database";
import { type Figure, percentile, type Run, toFigure } from "./harness";
import { type BenchRotation, DEVELOPER, TENANT, withRotation } from "./bench-rotation";
import { send } from "./s3-fetch";

const KINDS = ["unknown", "expired", "revoked"] as const;
type Kind = (typeof KINDS)[number];
const PAIRS: readonly (readonly [Kind, Kind])[] = [
  ["unknown", "expired"],
  ["unknown", "revoked"],
  ["expired", "revoked"],
];
/** Refusals are held for steps of time, so that their number is given by that and not by the machine. */
const WARM_UP_MS = 2_000;
const MEASURE_MS = 20_000;
/** A caller may ask many at once: each kind has as many of the others beside it. */
const AT_ONCE = 24;
const VALUES = 500;
const SHUFFLES = 200;

/** Presents a value, and waits for the refusal. */
type Present = (value: string) => Promise<void>;

/**
 * How long it takes to be refused with a value that never was one, has expired, or was revoked: by gRPC and
 * through the gateway, in random order. Two kinds must not differ by more than two samples of one kind do:
 * the yardstick is what 99 of 100 random divisions of both together differ by.
 */
export async function benchRefusals({ runs, say }: BenchOptions): Promise<Figure[]> {
  return withDatabaseOf("rotation", (_url, pool) =>
    withRotation(pool, async (rotation) => {
      const values = await insertValues(pool);
      const gateway = await startGateway(rotation);
      const ways: [string, Present][] = [
        ["by gRPC", overGrpc(rotation)],
        ["by REST", gateway.present],
      ];
      try {
        const figures: Figure[] = [];
        for (const [way, present] of ways) {
          const samples: Samples[] = [];
          for (let run = 0; run < runs; run++) {
            samples.push(await measure(present, values));
            say(`  refusals ${way}: run ${run + 1} of ${runs}`);
          }
          figures.push(...PAIRS.map((pair) => compare(way, pair, samples)));
        }
        return figures;
      } finally {
        await gateway.stop();
      }
    }),
  );
}

type Samples = Record<Kind, number[]>;

/** Microseconds, by kind. */
async function measure(present: Present, values: Record<Kind, string[]>): Promise<Samples> {
  const samples: Samples = { unknown: [], expired: [], revoked: [] };
  const fromMs = performance.now() + WARM_UP_MS;
  const caller = async () => {
    while (performance.now() < fromMs + MEASURE_MS) {
      const kind = KINDS[randomInt(KINDS.length)] ?? "unknown";
      const isWarm = performance.now() >= fromMs;
      const value = values[kind][randomInt(VALUES)] ?? "";
      const startMs = performance.now();
      await present(value);
      if (isWarm) samples[kind].push((performance.now() - startMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
  return samples;
}

function compare(way: string, [a, b]: readonly [Kind, Kind], runs: readonly Samples[]): Figure {
  const median = (it: readonly number[] | Float64Array) => percentile(it, 0.5);
  const compared = runs.map((samples): Run => {
    const [one, other] = [samples[a], samples[b]];
    const ours = Math.abs(median(one) - median(other));
    const together = Float64Array.from([...one, ...other]);
    const byChance = Array.from({ length: SHUFFLES }, () => {
      shuffle(together);
      return Math.abs(
        median(together.subarray(0, one.length)) - median(together.subarray(one.length)),
      );
    });
    return { ours, yardstick: percentile(byChance, 0.99) };
  });
  const words = (kind: Kind) => {
    const all = runs[0]?.[kind] ?? [];
    const at = [0.5, 0.9, 0.99].map((part) => Math.round(percentile(all, part)));
    return `${kind} (${all.length}): p50 ${at[0] ?? ""}, p90 ${at[1] ?? ""}, p99 ${at[2] ?? ""} µs`;
  };
  return toFigure(
    {
      ...{ id: "refusals", name: `${a} or ${b}, ${way}: medians apart`, unit: "µs" },
      ...{ mark: { atMost: 1 }, notes: [words(a), words(b)] },
    },
    compared,
  );
}

function shuffle(items: Float64Array): void {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [items[at], items[other]] = [items[other] ?? 0, items[at] ?? 0];
  }
}

function overGrpc({ client }: BenchRotation): Present {
  const { path } = PeopleServiceService.listPeople;
  return async (value) => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${value}`);
    await send(client, path, Buffer.alloc(0), metadata).then(
      () => {
        throw new Error("not refused");
      },
      (error: unknown) => {
        if ((error as { code?: number }).code !== UNAUTHENTICATED) throw error;
      },
    );
  };
}

const UNAUTHENTICATED = 16;

async function startGateway({ address }: BenchRotation) {
  const channels = {
    catalog: openChannel({ address: "127.0.0.1:1" }),
    rotation: openChannel({ address }),
  };
  const gateway = await createGateway({
    ...{ channels, signingKey: generateSigningKey("murmur-gateway") },
    ...{ rateLimit: 10_000_000, trustedProxies: [], dashboardDirectory: __dirname },
  });
  const url = `http://127.0.0.1:${await gateway.listen("127.0.0.1:0")}/v1/people`;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const present: Present = async (value) => {
    const headers = { authorization: `Bearer ${value}` };
    const asked = request(url, { agent, headers }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    if (response.statusCode !== 401)
      throw new Error(`answered ${response.statusCode ?? "nothing"}`);
  };
  return {
    present,
    async stop() {
      agent.destroy();
      await gateway.stop(500);
      for (const channel of Object.values(channels)) channel.close();
    },
  };
}

async function insertValues(pool: Pool): Promise<Record<Kind, string[]>> {
  const make = () => Array.from({ length: VALUES }, () => createCredentialValue("api-key"));
  const made = { unknown: make(), expired: make(), revoked: make() };
  const insert = (kind: Kind, ends: string) =>
    pool.query(
      `insert into rotation.credentials (tenant_id, credential_id, kind, label, agent_name, scopes,
         hash, prefix, owner, role, expires_at, revoked_at)
       select '${TENANT}', id, 'api-key', 'bench', '', '{}', hash, 'mur_key_0000', '${DEVELOPER}',
         'member', ${ends}
       from unnest($1::uuid[], $2::bytea[]) as v (id, hash)`,
      [made[kind].map(() => randomUUID()), made[kind].map(({ hash }) => hash)],
    );
  await insert("expired", "clock_timestamp() - interval '1 day', null");
  await insert("revoked", "null, clock_timestamp() - interval '1 day'");
  const texts = (kind: Kind) => made[kind].map(({ text }) => text.expose());
  return { unknown: texts("unknown"), expired: texts("expired"), revoked: texts("revoked") };
}
