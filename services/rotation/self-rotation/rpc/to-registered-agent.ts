import type {
  AutoRotation as AutoRotationMessage,
  RegisteredAgent as RegisteredAgentMessage,
} from "../../../../gen/murmur/rotation/v1/self_rotation";
import { isDnsLabel } from "../../../../lib/dns-label";
import { type FieldViolation, invalidFields } from "../../../../lib/errors";
import type { AutoRotationWish, RegisteredAgent } from "../domain/registered-agent";

const MIN_EVERY_SECONDS = 900;
const MAX_EVERY_SECONDS = 90 * 86_400;
const DEFAULT_API_KEY_NAME = "AGENT_API_KEY";
const DEFAULT_ROTATION_SECRET_NAME = "AGENT_ROTATION_SECRET";
const NAME = /^[A-Z][A-Z0-9_]{0,254}$/;
const MAX_PATH = 1_000;

/** A registered agent as the contract shows it. */
export function toRegisteredAgent(agent: RegisteredAgent): RegisteredAgentMessage {
  const { autoRotation, token } = agent;
  return {
    agentId: agent.id,
    name: agent.name,
    owner: agent.owner,
    createdAt: agent.createdAt,
    rotatedAt: token.createdAt,
    revokedAt: agent.revokedAt,
    credentialId: token.id,
    prefix: token.prefix,
    firstUsedAt: token.firstUsedAt,
    oldPairUntil: agent.oldPairUntil,
    reuses: agent.reuses,
    reusedAt: agent.reusedAt,
    autoRotation: autoRotation && {
      ...autoRotation,
      every: { seconds: BigInt(autoRotation.everySeconds), nanos: 0 },
    },
  };
}

/** Throws INVALID_ARGUMENT that names every wrong field. */
export function readAutoRotation(
  message: AutoRotationMessage | undefined,
): AutoRotationWish | undefined {
  if (!message) return undefined;
  const { every, workspace, path } = message;
  const apiKeyName = message.apiKeyName || DEFAULT_API_KEY_NAME;
  const rotationSecretName = message.rotationSecretName || DEFAULT_ROTATION_SECRET_NAME;
  const everySeconds = Number(every?.seconds ?? 0n);
  const isPeriod = everySeconds >= MIN_EVERY_SECONDS && everySeconds <= MAX_EVERY_SECONDS;
  const isPath = path.length <= MAX_PATH && path.split("/").every(isDnsLabel);
  const violations = [
    ...faultUnless(isPeriod, "every", "must be from 15 minutes to 90 days"),
    ...faultUnless(isDnsLabel(workspace), "workspace", "must be a DNS label"),
    ...faultUnless(path === "" || isPath, "path", "must be DNS labels with slashes between"),
    ...faultUnless(isName(apiKeyName), "api_key_name", NAME_RULE),
    ...faultUnless(isName(rotationSecretName), "rotation_secret_name", NAME_RULE),
    ...faultUnless(apiKeyName !== rotationSecretName, "rotation_secret_name", "must be another"),
  ];
  if (violations.length > 0) throw invalidFields(violations);
  return { everySeconds, workspace, path, apiKeyName, rotationSecretName };
}

const NAME_RULE = "must match [A-Z][A-Z0-9_]* and not begin with MURMUR_";

/** What else is wrong with a name the catalog says when it gets the pair. */
function isName(text: string): boolean {
  return NAME.test(text) && !text.startsWith("MURMUR_");
}

function faultUnless(isGood: boolean, name: string, rule: string): FieldViolation[] {
  const field = `auto_rotation.${name}`;
  return isGood ? [] : [{ field, description: `${field} ${rule}` }];
}
