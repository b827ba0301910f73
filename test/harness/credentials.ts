import {
  type Credential,
  CredentialKind,
  type CreateCredentialRequest,
} from "../../gen/murmur/rotation/v1/credentials";
import { systemClock } from "../../lib/clock";
import type { Role } from "../../lib/identity/principal";
import { issueDeveloperToken } from "../../lib/identity/claims";
import { serviceCredentials } from "../../lib/identity/credentials";
import { leaseOver } from "../../lib/lease";
import { type FakeCatalog, startFakeCatalog } from "../fakes/fake-catalog";
import {
  type RotationClients,
  startRotation,
  type TestRotation,
  type TestRotationOptions,
} from "./rotation";

type Client = RotationClients["credentials"];
type AgentsClient = RotationClients["selfRotation"];

/** Rotation with developers who have API keys and agent tokens, and a service that verifies them. */
export interface CredentialIssuer {
  rotation: TestRotation;
  /** Whose keys rotation knows. */
  catalog: FakeCatalog;
  /** A member of t1, unless told otherwise. */
  developer(id: string, role?: Role, tenantId?: string): Client;
  /** The same developer, for registered agents. */
  registrar(id: string, role?: Role, tenantId?: string): AgentsClient;
  /** Who presents nothing but what is in the request. */
  anyone: AgentsClient;
  /** The identity token of an owner of t1. */
  token(id: string): Promise<string>;
  /** A service that credentials are presented to. */
  verifier(tenantId?: string): Client;
  create(by: Client, change?: Partial<CreateCredentialRequest>): Promise<Shown>;
  /** Lets time pass for all credentials, answers, invitations and attempts: what they have of times becomes that much older. */
  pass(seconds: number): Promise<void>;
  stop(): Promise<void>;
}

/** A credential with the value that was shown. */
export interface Shown {
  credential: Credential;
  value: string;
}

/** Starts all of it in this process; `stop` it in `afterAll`. */
export async function startCredentialIssuer(
  options: Omit<TestRotationOptions, "catalog"> = {},
): Promise<CredentialIssuer> {
  const catalog = await startFakeCatalog();
  const rotation = await startRotation({ ...options, catalog });
  return {
    ...{ rotation, catalog },
    developer: (id, role = "member", tenantId = "t1") =>
      rotation.clients(catalog.developer({ tenantId, role, id })).credentials,
    registrar: (id, role = "member", tenantId = "t1") =>
      rotation.clients(catalog.developer({ tenantId, role, id })).selfRotation,
    anyone: rotation.clients().selfRotation,
    token: (developer) =>
      issueDeveloperToken(catalog.rotationKey, {
        ...{ tenantId: "t1", developer, role: "owner", ttlSeconds: 3600 },
      }),
    verifier(tenantId = "t1") {
      const who = { service: "verifier", audience: "rotation", tenantId };
      return rotation.clients(serviceCredentials({ key: catalog.rotationKey, ...who })).credentials;
    },
    create: async (by, change) => toShown(await by.createCredential({ ...API_KEY, ...change })),
    async pass(seconds) {
      const earlier = (column: string) => `${column} = ${column} - $1 * interval '1 second'`;
      const columns = ["created_at", "expires_at", "revoked_at", "last_used_at"];
      const times = columns.map(earlier).join();
      await rotation.pool.query(`update rotation.credentials set ${times}`, [seconds]);
      for (const table of ["sealed_answers", "agent_invitations"])
        await rotation.pool.query(`update rotation.${table} set ${earlier("expires_at")}`, [
          seconds,
        ]);
      await rotation.pool.query(
        `update rotation.attempts set over_at = over_at - $1 * interval '1 second', times = array(
           select t - $1 * interval '1 second' from unnest(times) with ordinality as u(t, n) order by n)`,
        [seconds],
      );
      await leaseOver(systemClock);
    },
    async stop() {
      await rotation.stop();
      await catalog.stop();
    },
  };
}

/** A wish for an API key. */
export const API_KEY: CreateCredentialRequest = {
  kind: CredentialKind.CREDENTIAL_KIND_API_KEY,
  ...{ label: "ci", agentName: "", scopes: [], expiresAt: undefined, requestId: "" },
};

/** An answer that has both. */
export function toShown({
  credential,
  value,
}: {
  credential?: Credential | undefined;
  value: string;
}): Shown {
  if (!credential) throw new Error("answered without a credential");
  return { credential, value };
}
