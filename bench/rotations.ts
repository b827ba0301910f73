import { randomBytes, randomUUID } from "node:crypto";
import { CredentialKind, CredentialServiceService } from "../gen/murmur/rotation/v1/credentials";
import { createClient, withCredentials } from "../lib/grpc/client";
import { issueDeveloperToken } from "../lib/identity/claims";
import { bearerCredentials } from "../lib/identity/credentials";
import type { Pool } from "../lib/postgres/db";
import { sensitive } from "../lib/sensitive";
import { type BenchRotation, DEVELOPER, TENANT, withRotation } from "./bench-rotation";
import type { BenchOptions } from "./benches";
import { withDatabaseOf } from "./catalog-database";
import { type Figure, toFigure } from "./harness";
import { compareRates, type Work } from "./rate";

const CALLERS = 16;
const MEASURE_MS = 5_000;
const GRACE_SECONDS = 900;

/**
 * Rotations of API keys a second, each caller its own key again and again, beside the bare rows: the new
 * credential, the old one's end and the audit row in one statement.
 */
export async function benchRotations({ runs, say }: BenchOptions): Promise<Figure[]> {
  return withDatabaseOf("rotation", (_url, pool) =>
    withRotation(pool, async (rotation) => {
      const work = { ours: await rotating(rotation), yardstick: await inserting(pool) };
      await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS / 5 });
      const rates = [];
      for (let run = 0; run < runs; run++) {
        rates.push(await compareRates(work, { callers: CALLERS, measureMs: MEASURE_MS }));
        say(`  rotations: run ${run + 1} of ${runs}`);
      }
      const name = "rotations of API keys over gRPC, beside the bare rows";
      return [toFigure({ id: "rotations", name, unit: "1/s" }, rates)];
    }),
  );
}

async function rotating({ channel, signingKey }: BenchRotation): Promise<Work> {
  const token = await issueDeveloperToken(signingKey, {
    ...{ tenantId: TENANT, developer: DEVELOPER, role: "member", ttlSeconds: 3600 },
  });
  const credentials = bearerCredentials(sensitive(token));
  const client = createClient(CredentialServiceService, withCredentials(channel, credentials));
  const current: string[] = [];
  for (let caller = 0; caller < CALLERS; caller++) {
    const { credential } = await client.createCredential({
      ...{ kind: CredentialKind.CREDENTIAL_KIND_API_KEY, label: "bench", agentName: "" },
      ...{ scopes: [], expiresAt: undefined, requestId: "" },
    });
    current.push(credential?.credentialId ?? "");
  }
  return async (caller) => {
    const { credential } = await client.rotateCredential({
      ...{ credentialId: current[caller] ?? "", graceSeconds: GRACE_SECONDS, requestId: "" },
    });
    current[caller] = credential?.credentialId ?? "";
  };
}

async function inserting(pool: Pool): Promise<Work> {
  await pool.query(`create schema bench; create table bench.credentials (
      id uuid primary key, hash bytea not null unique, label text not null, replaced_by uuid,
      expires_at timestamptz);
    create table bench.audit (id bigint generated always as identity primary key,
      action text not null, object_id uuid not null, at timestamptz not null)`);
  const current = Array.from({ length: CALLERS }, () => randomUUID());
  await pool.query(
    "insert into bench.credentials select id, uuid_send(id), 'bench' from unnest($1::uuid[]) as i (id)",
    [current],
  );
  return async (caller) => {
    const [old, id] = [current[caller], randomUUID()];
    await pool.query(
      `with made as (insert into bench.credentials (id, hash, label) values ($1, $2, 'bench')),
         ended as (update bench.credentials set replaced_by = $1,
           expires_at = clock_timestamp() + interval '15 minutes' where id = $3)
       insert into bench.audit (action, object_id, at) values ('rotate', $3, clock_timestamp())`,
      [id, randomBytes(32), old],
      { name: "bench-rotate" },
    );
    current[caller] = id;
  };
}
