import type { GetSecretRequest, GetSecretResponse } from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import { TENANT } from "../domain/secret";
import type { Secrets } from "../secrets/secrets";
import { toSecretMessage } from "./secret-message";

/** Shows what is kept about one secret. */
export function getSecret(secrets: Secrets): UnaryHandler<GetSecretRequest, GetSecretResponse> {
  return async ({ name }, context) => {
    const secret = await secrets.get(callerOf(context).tenantId, { owner: TENANT, name });
    return { secret: toSecretMessage(secret) };
  };
}
