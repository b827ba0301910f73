import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { setTimeout } from "node:timers/promises";
import { SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { CredentialKind, CredentialServiceService } from "../../gen/murmur/rotation/v1/credentials";
import { freePort } from "../../dev/parts/free-port";
import { startStack } from "../../dev/stack/stack";
import { createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import type { BenchOptions } from "../benches";
import { type Figure, percentile, type Run, toFigure } from "../harness";
import { compareRates } from "../rate";
import { startRole } from "../s1/child";

const ROUNDS = 1_500;
const WARM_UP_ROUNDS = 300;
const CALLERS = 16;
const MEASURE_MS = 3_000;
const START_TRIES = 100;
const NAME = "BENCH_SECRET";
const PATH = `/v1/secrets/${NAME}`;

type Call = () => Promise<unknown>;

/**
 * The gateway: one request by REST beside the same RPC, and what it adds to the RPC beside a bare Fastify
 * route. Everything is a process of its own, and asked one after the other, in turns.
 */
export async function benchGateway({ runs, say }: BenchOptions): Promise<Figure[]> {
  const options = { withVault: false, withKafka: false, dataDir: undefined, fresh: false };
  const settings = { MURMUR_GATEWAY_RATE_LIMIT: "10000000", MURMUR_LOG_LEVEL: "warn" };
  const stack = await startStack({ ...options, settings, firstPort: 0, vms: 1, json: false }, say);
  const bare = await freePort();
  const child = startRole("bare-fastify", [String(bare)]);
  const agent = new Agent({ keepAlive: true });
  const credentials = bearerCredentials(sensitive(await stack.identities.issueToken()));
  const catalog = openChannel({ address: stack.place.catalog, credentials });
  const rotation = openChannel({ address: stack.place.rotation, credentials });
  try {
    await stack.murmur.run(["secret", "set", NAME], "value\n");
    const { authorization: token = "" } = await credentials("");
    const authorization = `Bearer ${await makeKey(rotation)}`;
    const secrets = createClient(SecretServiceService, catalog);
    const gateway = `http://${stack.place.gateway}`;
    const get = (url: string, by: string) => getOnce(agent, url, by);
    const calls = {
      rest: () => get(gateway + PATH, token),
      grpc: () => secrets.getSecret({ name: NAME }),
      bare: () => get(`http://127.0.0.1:${bare}${PATH}`, token),
      // Each path is vouched for anew: no vouch is used twice.
      scoped: () => get(`${gateway}${PATH}${paths++}`, authorization),
      unscoped: () => get(`${gateway}${PATH}${paths++}`, token),
    };
    await waitFor(calls.bare);
    const measured: Record<keyof typeof calls, number>[] = [];
    const rates: Run[] = [];
    for (let run = 0; run < runs; run++) {
      measured.push(await mediansUs(calls));
      const work = { ours: calls.rest, yardstick: calls.grpc };
      rates.push(await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS }));
      say(`  gateway: run ${run + 1} of ${runs}`);
    }
    return toFigures(measured, rates);
  } finally {
    agent.destroy();
    for (const channel of [catalog, rotation]) channel.close();
    await child.stop();
    await stack.stop();
  }
}

let paths = 0;

function toFigures(
  measured: readonly Record<"rest" | "grpc" | "bare" | "scoped" | "unscoped", number>[],
  rates: readonly Run[],
): Figure[] {
  const common = { id: "gateway", unit: "µs" };
  const runs = (of: (it: (typeof measured)[number]) => Run) => measured.map(of);
  return [
    toFigure(
      { ...common, name: "GET of a secret, p50, beside the RPC" },
      runs(({ rest, grpc }) => ({ ours: rest, yardstick: grpc })),
    ),
    toFigure(
      { ...common, name: "what REST adds to the RPC, beside a bare Fastify route" },
      runs(({ rest, grpc, bare }) => ({ ours: rest - grpc, yardstick: bare })),
    ),
    toFigure(
      { ...common, name: "by API key, each path vouched for anew, beside by token" },
      runs(({ scoped, unscoped }) => ({ ours: scoped, yardstick: unscoped })),
    ),
    toFigure({ id: "gateway", unit: "1/s", name: "GETs by 16 callers, beside the RPC" }, rates),
  ];
}

/** Until a process that was started answers. */
async function waitFor(call: Call): Promise<void> {
  for (let left = START_TRIES; ; left--) {
    try {
      await call();
      return;
    } catch (error) {
      if (left === 0) throw error;
      await setTimeout(100);
    }
  }
}

async function makeKey(rotation: ReturnType<typeof openChannel>): Promise<string> {
  const { value } = await createClient(CredentialServiceService, rotation).createCredential({
    ...{ kind: CredentialKind.CREDENTIAL_KIND_API_KEY, label: "bench", agentName: "" },
    ...{ scopes: ["GET /v1/secrets*"], expiresAt: undefined, requestId: "" },
  });
  return value;
}

async function mediansUs<K extends string>(calls: Record<K, Call>): Promise<Record<K, number>> {
  const entries = Object.entries(calls) as [K, Call][];
  const samples = new Map<K, number[]>(entries.map(([name]) => [name, []]));
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const [name, call] of entries) {
      const startMs = performance.now();
      await call();
      if (round >= WARM_UP_ROUNDS) samples.get(name)?.push((performance.now() - startMs) * 1000);
    }
  }
  const medians = entries.map(([name]) => [name, percentile(samples.get(name) ?? [], 0.5)]);
  return Object.fromEntries(medians) as Record<K, number>;
}

/** The answer may be that there is none of that name: it is asked for all the same. */
async function getOnce(agent: Agent, url: string, authorization: string): Promise<void> {
  const asked = request(url, { agent, headers: { authorization } }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  if (response.statusCode !== 200 && response.statusCode !== 404)
    throw new Error(`${url} answered ${response.statusCode ?? "nothing"}`);
}
