import { createCipheriv, randomBytes } from "node:crypto";
import { Client, credentials, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import {
  DeliveryServiceService,
  FetchEnvironmentsRequest,
  FetchEnvironmentsResponse,
} from "../gen/murmur/catalog/v1/delivery";
import { createPool } from "../lib/postgres/pool";
import { type Pool } from "../lib/postgres/db";
import { sensitive } from "../lib/sensitive";
import { type CatalogFleet, startCatalogFleet } from "./catalog-fleet";

/** S3: fetches of an environment of 20 secrets beside a bare grpc-js echo of the same bytes. */
export interface S3Result {
  name: "S3";
  /** Fetches a second, `IN_FLIGHT` at a time; the worst run. */
  ours: number;
  /** Echoes a second of a request and an answer of the same sizes, in the same run. */
  yardstick: number;
  ratio: number;
  verdict: "pass" | "fail";
  /** One call at a time, microseconds. */
  p50Us: { fetch: number; echo: number; select: number; seal: number; allowed: number };
  p99Us: { fetch: number; echo: number };
  payloadBytes: { request: number; response: number };
  runs: { ours: number; yardstick: number; ratio: number }[];
}

export interface S3Options {
  /** A database that holds the schema of the catalog; its rows stay. */
  url: string;
  runs?: number;
  /** How long each throughput figure is measured. */
  measureMs?: number;
}

const SECRETS = 20;
const AGENTS = 200;
const IN_FLIGHT = 16;
const LATENCY_CALLS = 2_000;
const PASS_RATIO = 0.4;
const PASS_MARGIN_US = 200;
const ECHO_PATH = "/bench.Echo/Echo";

/**
 * Client and server of both are in this process, one after the other in short turns, so that
 * whatever else the machine does falls on both alike. The worst of the runs counts.
 */
export async function measureS3(options: S3Options): Promise<S3Result> {
  const { url, runs = 3, measureMs = 3_000 } = options;
  const pool = createPool({ url: sensitive(url), applicationName: "bench-s3", max: 20 });
  const fleet = await startCatalogFleet(pool, { secrets: SECRETS, agents: AGENTS });
  const fetch = fetcher(fleet);
  const { request, response } = await samplePayload(fleet);
  const echo = await startEcho(request, response);
  try {
    await measureRate(fetch, measureMs);
    await measureRate(echo, measureMs);
    const rates = [];
    for (let run = 0; run < runs; run++) rates.push(await measureTurns(fetch, echo, measureMs));
    const worst = rates.reduce((a, b) => (a.ratio <= b.ratio ? a : b));
    const latencies = await measureLatencies({
      ...{ fetch, echo, select: selecter(pool, fleet), seal: sealer(response.length) },
    });
    const p50Us = mapValues(latencies, (sorted) => percentile(sorted, 0.5));
    const allowed = p50Us.echo + p50Us.select + p50Us.seal + PASS_MARGIN_US;
    const isPassed = worst.ratio >= PASS_RATIO && p50Us.fetch <= allowed;
    return {
      ...{ name: "S3", ours: worst.ours, yardstick: worst.yardstick, ratio: worst.ratio },
      verdict: isPassed ? "pass" : "fail",
      p50Us: { ...p50Us, allowed },
      p99Us: { fetch: percentile(latencies.fetch, 0.99), echo: percentile(latencies.echo, 0.99) },
      payloadBytes: { request: request.length, response: response.length },
      runs: rates,
    };
  } finally {
    echo.stop();
    await fleet.stop();
    await pool.close();
  }
}

/** One call; what its caller would do on another machine is prepared before the clock runs. */
interface Driver {
  prepare(calls: number): Promise<void>;
  call(): Promise<unknown>;
}

const NOTHING_TO_PREPARE = () => Promise.resolve();

/**
 * Sends with a bare grpc-js client, as the yardstick does: what is compared is the catalog. Proofs
 * are signed beforehand, each is used once.
 */
export function fetcher(fleet: CatalogFleet): Driver {
  const { path } = DeliveryServiceService.fetchEnvironments;
  const client = new Client(fleet.address, credentials.createInsecure());
  const proofs: Metadata[] = [];
  const requests = fleet.environments.map((ref) => {
    const message = { sessionId: fleet.sessionId, nonce: randomBytes(16), environments: [ref] };
    return Buffer.from(FetchEnvironmentsRequest.encode(message).finish());
  });
  let next = 0;
  const prove = async () => {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(await fleet.prove(path))) metadata.set(key, value);
    return metadata;
  };
  return {
    async prepare(calls) {
      while (proofs.length < calls) proofs.push(await prove());
    },
    async call() {
      const request = requests[next++ % requests.length] ?? Buffer.alloc(0);
      const answer = await send(client, path, request, proofs.pop() ?? (await prove()));
      // A refusal is a few bytes.
      if (answer.length < 1_000) throw new Error("nothing was delivered");
    },
  };
}

async function samplePayload(fleet: CatalogFleet) {
  const environments = fleet.environments.slice(0, 1);
  const message = { sessionId: fleet.sessionId, nonce: randomBytes(16), environments };
  const answer = await fleet.delivery.fetchEnvironments(message);
  return {
    request: Buffer.from(FetchEnvironmentsRequest.encode(message).finish()),
    response: Buffer.from(FetchEnvironmentsResponse.encode(answer).finish()),
  };
}

const same = (bytes: Buffer) => bytes;

/** One unary call without a codec. */
export function send(
  client: Client,
  path: string,
  request: Buffer,
  metadata: Metadata,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, request, metadata, (error, answer) => {
      if (error) reject(error);
      else resolve(answer ?? Buffer.alloc(0));
    });
  });
}

/** The least that grpc-js can do: no codec, no metadata, no deadline, no database. */
export async function startEcho(
  request: Buffer,
  response: Buffer,
): Promise<Driver & { stop(): void }> {
  const server = new Server();
  const method = {
    ...{ path: ECHO_PATH, requestStream: false, responseStream: false },
    ...{ requestSerialize: same, requestDeserialize: same },
    ...{ responseSerialize: same, responseDeserialize: same },
  };
  server.addService(
    { echo: method },
    {
      echo: (_call: unknown, callback: (error: null, answer: Buffer) => void) => {
        callback(null, response);
      },
    },
  );
  const insecure = ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", insecure, (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    prepare: NOTHING_TO_PREPARE,
    call: () => send(client, ECHO_PATH, request, new Metadata()),
    stop() {
      client.close();
      server.forceShutdown();
    },
  };
}

/** What any delivery has to read: the generation, if this VM may have it. */
function selecter(pool: Pool, fleet: CatalogFleet): Driver {
  const ref = fleet.environments[0];
  const call = () =>
    pool.query(
      `select g.set_id, g.mac from catalog.generations g
       join catalog.vms v on v.tenant_id = g.tenant_id and v.id = g.vm_id and v.removed_at is null
       where g.tenant_id = $1 and g.agent_id = $2 and g.generation = $3 and g.vm_id = $4`,
      [fleet.tenantId, ref?.agentId, ref?.generation, fleet.vmId],
      { name: "bench-select" },
    );
  return { prepare: NOTHING_TO_PREPARE, call };
}

function sealer(bytes: number): Driver {
  const key = randomBytes(32);
  const plaintext = randomBytes(bytes);
  const call = () => {
    const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12));
    cipher.setAAD(plaintext.subarray(0, 100));
    const sealed = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
    return Promise.resolve(Buffer.concat(sealed));
  };
  return { prepare: NOTHING_TO_PREPARE, call };
}

/** Both in turns of a tenth of the time. */
async function measureTurns(ours: Driver, yardstick: Driver, measureMs: number) {
  const sums = { ours: 0, yardstick: 0 };
  const turns = 10;
  for (let turn = 0; turn < turns; turn++) {
    sums.yardstick += await measureRate(yardstick, measureMs / turns);
    sums.ours += await measureRate(ours, measureMs / turns);
  }
  return {
    ours: sums.ours / turns,
    yardstick: sums.yardstick / turns,
    ratio: sums.ours / sums.yardstick,
  };
}

/** Calls a second. */
async function measureRate(driver: Driver, measureMs: number): Promise<number> {
  // More than can be used up; those left over serve the next turn.
  await driver.prepare(Math.ceil(measureMs * 8));
  const startMs = performance.now();
  let done = 0;
  const work = async () => {
    while (performance.now() - startMs < measureMs) {
      await driver.call();
      done++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return (done * 1000) / (performance.now() - startMs);
}

/**
 * Microseconds of single calls, sorted. One of each in turns: called again and again, a query alone
 * would find every cache and the other processor awake, as it does nowhere else.
 */
async function measureLatencies<K extends string>(drivers: Record<K, Driver>) {
  const samples = mapValues(drivers, (): number[] => []);
  const named = Object.entries<Driver>(drivers) as [K, Driver][];
  for (const [, driver] of named) await driver.prepare(LATENCY_CALLS);
  for (let at = 0; at < LATENCY_CALLS; at++) {
    for (const [name, driver] of named) {
      const startMs = performance.now();
      await driver.call();
      samples[name].push((performance.now() - startMs) * 1000);
    }
  }
  return mapValues(samples, (each) => each.toSorted((a, b) => a - b));
}

function percentile(sorted: readonly number[], part: number): number {
  return Math.round(sorted[Math.floor(sorted.length * part)] ?? Number.NaN);
}

function mapValues<K extends string, A, B>(record: Record<K, A>, map: (value: A) => B) {
  const entries = Object.entries<A>(record).map(([key, value]) => [key, map(value)]);
  return Object.fromEntries(entries) as Record<K, B>;
}
