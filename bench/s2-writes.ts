import { randomBytes, randomUUID } from "node:crypto";
import { SecretDelivery, SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { watchAudit } from "../lib/audit/watch-audit";
import { checkAccess } from "../lib/grpc/access";
import { createClient, openChannel } from "../lib/grpc/client";
import { createAuthenticator } from "../lib/identity/authenticate";
import { issueDeveloperToken } from "../lib/identity/claims";
import { bearerCredentials } from "../lib/identity/credentials";
import { keySetOf } from "../lib/identity/key-set";
import { generateSigningKey, toPublicKey } from "../lib/identity/signing-key";
import { silentLog } from "../lib/log";
import type { Pool } from "../lib/postgres/db";
import { sensitive } from "../lib/sensitive";
import { createCatalog } from "../services/catalog/catalog";
import { createSealedValues } from "../services/catalog/environments/sealed-values";
import { createLocalKeyProvider } from "../services/catalog/keys/local-key-provider";
import { keyringOf } from "../services/catalog/keys/local-keyring";
import { createTenantKeys } from "../services/catalog/keys/tenant-keys";
import { CATALOG_ACCESS } from "../services/catalog/rpc/access";
import { setSecret } from "../services/catalog/rpc/set-secret";
import { createSecrets } from "../services/catalog/secrets/secrets";
import { createPostgresKeyStore } from "../services/catalog/store/postgres-key-store";
import { createPostgresSecretStore } from "../services/catalog/store/postgres-secret-store";
import { createPostgresVersionStore } from "../services/catalog/store/postgres-version-store";
import type { BenchOptions } from "./benches";
import { startTimedSealer } from "./timed-sealer";
import { withCatalogDatabase } from "./catalog-database";
import { type Figure, percentile, toFigure } from "./harness";
import { compareRates, type Rates, type Work } from "./rate";

const CALLERS = 16;
const NAMES_OF_A_CALLER = 10;
const MEASURE_MS = 4_000;
const WARM_UP_MS = 1_500;
/** behaviour.md, section 11. */
const SEALED_WITHIN_MS = 50;
const METHOD = SecretServiceService.setSecret.path;

/**
 * S2: secret writes a second beside an insert of two rows in one statement, with the same pool and
 * as many callers. Measured twice: the service's own work (authenticate, authorise, handle), which
 * the mark is for, and through gRPC with the clients in the same process, for orientation. The audit
 * records are sealed and signed meanwhile, by the same process, and within 50 ms.
 */
export async function benchS2({ runs, say }: BenchOptions): Promise<Figure[]> {
  return withCatalogDatabase(async (_url, pool) => {
    const insert = await insertTwoRows(pool);
    const product = await createProduct(pool);
    const measure = (ours: Work, measureMs: number) =>
      compareRates({ ours, yardstick: insert }, { callers: CALLERS, measureMs });
    try {
      await measure(product.inProcess, WARM_UP_MS);
      await measure(product.overGrpc, WARM_UP_MS);
      const notes: string[] = [];
      const [inProcess, overGrpc, lags]: [Rates[], Rates[], Rates[]] = [[], [], []];
      for (let run = 0; run < runs; run++) {
        product.lagsMs.length = 0;
        inProcess.push(await measure(product.inProcess, MEASURE_MS));
        const lag = (part: number) => percentile(product.lagsMs, part);
        lags.push({ ours: lag(0.5), yardstick: SEALED_WITHIN_MS });
        notes.push(`p99 ${lag(0.99)} ms, most ${lag(1)} ms`);
        overGrpc.push(await measure(product.overGrpc, MEASURE_MS));
        say(`  writes: run ${run + 1} of ${runs}`);
      }
      const common = { id: "S2", unit: "1/s" };
      const mark = { atLeast: 0.5 };
      const names = [
        "secret writes, sealed meanwhile",
        "secret writes over gRPC, client in the same process",
      ] as const;
      const sealed = "audit record written → sealed, at that rate";
      return [
        toFigure({ ...common, name: names[0], mark }, inProcess),
        toFigure({ ...common, name: names[1] }, overGrpc),
        toFigure({ id: "S2", name: sealed, unit: "ms", mark: { atMost: 1 }, notes }, lags),
      ];
    } finally {
      await product.stop();
    }
  });
}

async function insertTwoRows(pool: Pool): Promise<Work> {
  await pool.query(`create schema bench; create table bench.rows (
    id uuid primary key, tenant_id text not null, name text not null, sealed bytea not null,
    at timestamptz not null default clock_timestamp())`);
  return () =>
    pool.query(
      `insert into bench.rows (id, tenant_id, name, sealed)
       values ($1, 'bench', $2, $3), ($4, 'bench', $5, $6)`,
      [
        ...[randomUUID(), "BENCH_SECRET", randomBytes(68)],
        ...[randomUUID(), "secret.set", randomBytes(68)],
      ],
      { name: "two-rows" },
    );
}

async function createProduct(bare: Pool) {
  const [rotationKey, signingKey] = ["murmur-rotation", "murmur-catalog"].map(generateSigningKey);
  if (!rotationKey || !signingKey) throw new Error("two issuers give two keys");
  const keySet = keySetOf([rotationKey, signingKey].map(toPublicKey));
  const keyProvider = createLocalKeyProvider(
    keyringOf({ id: randomUUID(), key: sensitive(randomBytes(32)) }),
  );
  const sealer = startTimedSealer(bare, signingKey);
  const pool = watchAudit(bare, "catalog", sealer.wake);
  const token = await issueDeveloperToken(rotationKey, {
    ...{ tenantId: "bench", developer: "bench/bench", role: "owner", ttlSeconds: 3600 },
  });
  const server = createCatalog({
    pool,
    keyProvider,
    keySet,
    signingKey,
    dataKeyCacheMs: 600_000,
  }).server;
  const address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  const channel = openChannel({ address, credentials: bearerCredentials(sensitive(token)) });
  const client = createClient(SecretServiceService, channel);

  const store = createPostgresKeyStore(pool);
  const keys = createTenantKeys({ store, provider: keyProvider, cacheMs: 600_000 });
  const values = createSealedValues(createPostgresVersionStore(), 64 * 1024 * 1024);
  const secrets = createSecrets({ store: createPostgresSecretStore(pool), keys, values });
  const handle = setSecret(secrets);
  const authenticate = createAuthenticator({ keySet, service: "catalog" });
  const access = CATALOG_ACCESS[METHOD];
  if (!access) throw new Error(`no access row for ${METHOD}`);
  const get = (key: string) => (key === "authorization" ? `Bearer ${token}` : undefined);
  const { signal } = new AbortController();
  const inProcess: Work = async (caller) => {
    const principal = await authenticate({ method: METHOD, get });
    checkAccess(access, principal);
    const context = { method: METHOD, requestId: randomUUID(), signal, timeoutMs: 10_000 };
    await handle(write(caller), { ...context, peer: "127.0.0.1:1", log: silentLog, principal });
  };
  return {
    inProcess,
    lagsMs: sealer.lagsMs,
    overGrpc: (caller: number) => client.setSecret(write(caller)),
    async stop() {
      channel.close();
      await server.stop(1_000);
      await sealer.stop();
    },
  };
}

let written = 0;

function write(caller: number) {
  const name = `BENCH_${caller}_${written++ % NAMES_OF_A_CALLER}`;
  return {
    ...{ name, createdAt: undefined },
    plaintextValue: Buffer.from(randomBytes(20).toString("hex")),
    delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
    requestId: "",
  };
}
