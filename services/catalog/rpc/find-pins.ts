import {
  SecretScope,
  type FindPinsRequest,
  type FindPinsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import { type FieldViolation, invalid, invalidFields } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { quoted } from "../../../lib/quoted";
import { callerOf } from "../audit";
import { agentIdFault } from "../domain/agent-id";
import type { SecretKind } from "../domain/environment-set";
import { isSecretName } from "../domain/secret-name";
import type { PinStore } from "../store/pin-store";

const MAX_GENERATIONS = 10_000;

const SCOPES: Record<SecretKind, SecretScope> = {
  tenant: SecretScope.SECRET_SCOPE_TENANT,
  user: SecretScope.SECRET_SCOPE_DEVELOPER,
  spawn: SecretScope.SECRET_SCOPE_SPAWN,
};

/** Tells which version of a secret generations pin. */
export function findPins(store: PinStore): UnaryHandler<FindPinsRequest, FindPinsResponse> {
  return async (request, context) => {
    const faults = pinFaults(request);
    if (faults.length > 0) throw invalidFields(faults);
    const { secretName, generations } = request;
    const { pins, ...rest } = await store.find(callerOf(context).tenantId, secretName, generations);
    return { pins: pins.map(({ kind, ...pin }) => ({ ...pin, scope: SCOPES[kind] })), ...rest };
  };
}

function pinFaults({ secretName, generations }: FindPinsRequest): FieldViolation[] {
  if (generations.length > MAX_GENERATIONS)
    throw invalid("generations", `generations must be at most ${MAX_GENERATIONS}`);
  const nameFault = `secret name ${quoted(secretName)} must match [A-Z][A-Z0-9_]*`;
  const ids = generations.flatMap(({ agentId }, index) => {
    const fault = agentIdFault(agentId);
    return fault === undefined
      ? []
      : [{ field: `generations[${index}].agent_id`, description: fault }];
  });
  return isSecretName(secretName)
    ? ids
    : [{ field: "secret_name", description: nameFault }, ...ids];
}
