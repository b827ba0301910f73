import { randomUUID } from "node:crypto";
import { Client, credentials as channelCredentials, Metadata } from "@grpc/grpc-js";
import { systemClock } from "../lib/clock";
import { type Channel, openChannel } from "../lib/grpc/client";
import { createCredentialValue, type CredentialValue } from "../lib/identity/credential-value";
import { serviceCredentials } from "../lib/identity/credentials";
import { keySetOf } from "../lib/identity/key-set";
import { generateSigningKey, type SigningKey, toPublicKey } from "../lib/identity/signing-key";
import { silentLog } from "../lib/log";
import type { Pool } from "../lib/postgres/db";
import { createRotation } from "../services/rotation/rotation";
import { createVerifier } from "../verifier/verifier";
import { send } from "./s3-fetch";

export const TENANT = "bench";
export const DEVELOPER = "bench/developer";
const VALUES = 1_000;
const SERVICE = "verifier";

/** Rotation in this process, over its own port. */
export interface BenchRotation {
  pool: Pool;
  address: string;
  client: Client;
  channel: Channel;
  signingKey: SigningKey;
  /** API keys that it knows. */
  values: readonly CredentialValue[];
  /** One call of a service that is presented with values. */
  remote: (path: string, request: Buffer) => Promise<Buffer>;
  /** The client library of such a service. */
  inProcess: (value: CredentialValue) => Promise<{ valid: boolean }>;
}

export async function withRotation<T>(
  pool: Pool,
  work: (rotation: BenchRotation) => Promise<T>,
): Promise<T> {
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
  let verifying: Promise<void> | undefined;
  try {
    const values = await insertValues(pool);
    const who = { key: signingKey, service: SERVICE, audience: "rotation", tenantId: TENANT };
    const metadataFor = serviceCredentials(who);
    const verifier = createVerifier({ channel, ...who, clock: systemClock, log: silentLog });
    verifying = verifier.run(running.signal);
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
      ...{ pool, address, client, channel, signingKey, values },
      remote: async (path, request) => send(client, path, request, await tokenFor(path)),
      inProcess: ({ text }) => verifier.verify(text),
    });
  } finally {
    client.close();
    channel.close();
    running.abort();
    await rotation.server.stop(500);
    await Promise.all([run, verifying]);
    catalog.close();
  }
}

async function insertValues(pool: Pool): Promise<CredentialValue[]> {
  const values = Array.from({ length: VALUES }, () => createCredentialValue("api-key"));
  await pool.query(
    `insert into rotation.people (tenant_id, developer, role, added_by)
     values ($1, $2, 'member', '')`,
    [TENANT, DEVELOPER],
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
