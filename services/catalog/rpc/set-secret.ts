import type { SetSecretRequest, SetSecretResponse } from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import { TENANT } from "../domain/secret";
import type { Secrets } from "../secrets/secrets";
import { fromDelivery, toSecretMessage } from "./secret-message";

/** Writes a new version of a secret. */
export function setSecret(secrets: Secrets): UnaryHandler<SetSecretRequest, SetSecretResponse> {
  return async (request, context) => {
    const secret = await secrets.set(callerOf(context), {
      owner: TENANT,
      name: request.name,
      value: sensitive(request.plaintextValue),
      description: request.description,
      expectedVersion: request.expectedVersion,
      delivery: fromDelivery(request.delivery),
      requestId: request.requestId,
    });
    return { secret: toSecretMessage(secret) };
  };
}
