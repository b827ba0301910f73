import { hash, randomUUID } from "node:crypto";
import { Client, credentials as channelCredentials, Metadata } from "@grpc/grpc-js";
import {
  CredentialServiceService,
  VerifyCredentialRequest,
  VerifyCredentialResponse,
  VerifyCredentialsRequest,
  VerifyCredentialsResponse,
} from "../gen/murmur/rotation/v1/credentials";
import { systemClock } from "../lib/clock";
import { openChannel } from "../lib/grpc/client";
import { createCredentialValue, type CredentialValue } from "../lib/identity/credential-value";
import { serviceCredentials } from "../lib/identity/credentials";
import { keySetOf } from "../lib/identity/key-set";
import { generateSigningKey, toPublicKey } from "../lib/identity/signing-key";
import type { Pool } from "../lib/postgres/db";
import { createRotation } from "../services/rotation/rotation";
import { createCredentialVerifier, createRotationAsker } from "../verifier/credential-verifier";
import type { BenchOptions } from "./benches";
import { withDatabaseOf } from "./catalog-database";
import { type Figure, toFigure } from "./harness";
import { compareRates, type Work } from "./rate";
import { send, startEcho } from "./s3-fetch";

const TENANT = "bench";
const VALUES = 1_000;
const BATCH = 64;
const CALLERS = 16;
const MEASURE_MS = 5_000;
const IN_PROCESS_AT_ONCE = 500;
const SERVICE = "verifier";

interface Verifying {
  pool: Pool;
  values: readonly CredentialValue[];
  remote: (path: string, request: Buffer) => Promise<Buffer>;
  inProcess: (value: CredentialValue) => Promise<{ valid: boolean }>;
}

/** S4: how many verifications a second, from far, many at once, and in the caller's own process. */
export async function benchS4({ runs, say }: BenchOptions): Promise<Figure[]> {
  return withDatabaseOf("rotation", (_url, pool) =>
    withRotation(pool, async (verifying) => {
      const figures: Figure[] = [];
      for (const measure of [measureRemote, measureBatched, measureInProcess]) {
        const { init, work } = await measure(verifying);
        say(`  ${init.name}`);
        const rates = [];
        await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS / 5 });
        for (let run = 0; run < runs; run++)
          rates.push(await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS }));
        work.stop?.();
        figures.push(toFigure({ id: "S4", unit: "1/s", ...init }, rates));
      }
      return figures;
    }),
  );
}

interface Measured {
  init: { name: string; mark: { atLeast: number }; notes: string[] };
  work: { ours: Work; yardstick: Work; stop?: () => void };
}

async function measureRemote({ values, remote }: Verifying): Promise<Measured> {
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

async function measureBatched({ values, remote, pool }: Verifying): Promise<Measured> {
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

function measureInProcess({ values, inProcess }: Verifying): Promise<Measured> {
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

/** Rotation in this process, its address, and API keys that it knows. */
async function withRotation<T>(pool: Pool, work: (verifying: Verifying) => Promise<T>): Promise<T> {
  const signingKey = generateSigningKey("murmur-rotation");
  // Nothing here asks the catalog.
  const catalog = openChannel({ address: "127.0.0.1:1" });
  const rotation = createRotation({
    pool,
    catalog,
    keySet: keySetOf([toPublicKey(signingKey)]),
    signingKey,
  });
  const running = new AbortController();
  const run = rotation.run(running.signal);
  const address = `127.0.0.1:${await rotation.server.listen("127.0.0.1:0")}`;
  const channel = openChannel({ address });
  const client = new Client(address, channelCredentials.createInsecure());
  try {
    const values = await insertValues(pool);
    const who = { key: signingKey, service: SERVICE, audience: "rotation", tenantId: TENANT };
    const metadataFor = serviceCredentials(who);
    const verifier = createCredentialVerifier(
      createRotationAsker({ channel, ...who }),
      systemClock,
    );
    const tokens = new Map<string, { metadata: Metadata; untilMs: number }>();
    const tokenFor = async (path: string) => {
      const known = tokens.get(path);
      if (known && performance.now() < known.untilMs) return known.metadata;
      const metadata = new Metadata();
      for (const [name, text] of Object.entries(await metadataFor(path))) metadata.set(name, text);
      tokens.set(path, { metadata, untilMs: performance.now() + 20_000 });
      return metadata;
    };
    return await work({
      ...{ pool, values },
      remote: async (path, request) => send(client, path, request, await tokenFor(path)),
      inProcess: ({ text }) => verifier.verify(text),
    });
  } finally {
    client.close();
    channel.close();
    running.abort();
    await rotation.server.stop(500);
    await run;
    catalog.close();
  }
}

async function insertValues(pool: Pool): Promise<CredentialValue[]> {
  const values = Array.from({ length: VALUES }, () => createCredentialValue("api-key"));
  await pool.query(
    `insert into rotation.people (tenant_id, developer, role, added_by)
     values ($1, 'bench/developer', 'member', '')`,
    [TENANT],
  );
  await pool.query(
    `insert into rotation.credentials (tenant_id, credential_id, kind, label, agent_name, scopes,
       hash, prefix, owner, role, expires_at)
     select $1, id, 'api-key', 'bench', '', array['GET /v1/secrets*'], hash, 'mur_key_0000',
       'bench/developer', 'member', clock_timestamp() + interval '1 day'
     from unnest($2::uuid[], $3::bytea[]) as v (id, hash)`,
    [TENANT, values.map(() => randomUUID()), values.map((value) => value.hash)],
  );
  return values;
}
