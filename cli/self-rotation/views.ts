import { type RegisteredAgent } from "../../gen/murmur/rotation/v1/self_rotation";
import { type Output } from "../output/output";

/** What a pair comes in: lines of an env file, which standard output can be kept as. */
interface ShownPair {
  agent?: RegisteredAgent | undefined;
  apiKey: string;
  rotationSecret: string;
}

/** Prints a pair, which is shown once. */
export function printPair(output: Output, { apiKey, rotationSecret }: ShownPair): void {
  output.line(`AGENT_API_KEY=${apiKey}`);
  output.line(`AGENT_ROTATION_SECRET=${rotationSecret}`);
}

/** For machines; never a value. */
export function agentToJson(agent: RegisteredAgent) {
  const { autoRotation: auto } = agent;
  return {
    id: agent.agentId,
    name: agent.name,
    owner: agent.owner,
    credential_id: agent.credentialId,
    prefix: agent.prefix,
    created_at: agent.createdAt,
    rotated_at: agent.rotatedAt,
    first_used_at: agent.firstUsedAt,
    old_pair_until: agent.oldPairUntil,
    revoked_at: agent.revokedAt,
    reuses: Number(agent.reuses),
    reused_at: agent.reusedAt,
    auto_rotation: auto && {
      every_seconds: Number(auto.every?.seconds ?? 0n),
      workspace: auto.workspace,
      path: auto.path,
      api_key_name: auto.apiKeyName,
      rotation_secret_name: auto.rotationSecretName,
      due_at: auto.dueAt,
    },
  };
}
