import { createHash, randomBytes } from "node:crypto";
import type { BoundAgent } from "../../gen/murmur/rotation/v1/bindings";
import { serviceCredentials } from "../../lib/identity/credentials";
import type { Role } from "../../lib/identity/principal";
import { type CredentialIssuer, startCredentialIssuer } from "./credentials";
import type { RotationClients } from "./rotation";

type Client = RotationClients["bindings"];

/** Rotation with developers whose agents work with provider keys, and a proxy that sees their requests. */
export interface Bindings extends Pick<CredentialIssuer, "rotation" | "catalog"> {
  /** The identity token of an owner of t1. */
  token: (id: string) => Promise<string>;
  /** A member of t1, unless told otherwise. */
  account(id: string, role?: Role, tenantId?: string): Client;
  /** The operator's proxy of a tenant. */
  proxy(tenantId?: string): Client;
  /** An agent of an account: seen by the proxy and claimed with the key. */
  agentOf(account: Client, key: string, name?: string, tenantId?: string): Promise<BoundAgent>;
  /** Lets time pass for all limits. */
  pass(seconds: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts all of it in this process; `stop` it in `afterAll`. */
export async function startBindings(): Promise<Bindings> {
  const issuer = await startCredentialIssuer();
  const { rotation, catalog } = issuer;
  const proxy = (tenantId = "t1") => {
    const who = { service: "llm-proxy", audience: "rotation", tenantId };
    return rotation.clients(serviceCredentials({ key: catalog.rotationKey, ...who })).bindings;
  };
  return {
    ...{ rotation, catalog, token: (id) => issuer.token(id), proxy },
    account: (id, role = "member", tenantId = "t1") =>
      rotation.clients(catalog.developer({ tenantId, role, id })).bindings,
    async agentOf(account, key, name = "", tenantId = "t1") {
      const { hash, proof, prefix } = hashesOf(key, name);
      const seen = { agentHash: hash, name, keyPrefix: prefix };
      const { agentId } = await proxy(tenantId).observeKey(seen);
      return toAgent(await account.claimAgent({ agentId, hashProof: proof }));
    },
    async pass(seconds) {
      const earlier = "it - $1 * interval '1 second'";
      await rotation.pool.query(
        `update rotation.attempts set over_at = over_at - $1 * interval '1 second', times =
           array(select ${earlier} from unnest(times) with ordinality as t (it, n) order by n)`,
        [seconds],
      );
    },
    stop: () => issuer.stop(),
  };
}

/** What a caller makes of a key, as the specification says it and by no code of the product. */
export function hashesOf(key: string, name = "") {
  const text = name === "" ? key : `${key}|${name}`;
  const proof = createHash("sha256").update(text, "utf8").digest("hex");
  return { proof, hash: proof.slice(0, 16), prefix: key.length < 32 ? "" : key.slice(0, 16) };
}

/** A key like a provider's that nobody had before. */
export function newKey(): string {
  return `sk-ant-api03-${randomBytes(24).toString("hex")}`;
}

/** An answer that has an agent. */
export function toAgent({ agent }: { agent?: BoundAgent | undefined }): BoundAgent {
  if (!agent) throw new Error("answered without an agent");
  return agent;
}
