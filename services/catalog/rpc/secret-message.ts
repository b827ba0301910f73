import {
  SecretDelivery,
  type Secret as SecretMessage,
  type SecretVersion,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { Delivery, Secret, SecretHistoryEntry, SecretWrite } from "../domain/secret";

/** A secret as callers see it. */
export function toSecretMessage(secret: Secret): SecretMessage {
  const { delivery, owner: _owner, ...rest } = secret;
  return { ...rest, delivery: DELIVERIES[delivery] };
}

/** One entry of a history as callers see it. */
export function toVersionMessage(entry: SecretHistoryEntry): SecretVersion {
  const { isDeletion, isCurrent, isDestroyed, ...rest } = entry;
  return { ...rest, deleted: isDeletion, current: isCurrent, destroyed: isDestroyed };
}

/** What a caller asked for; a number from a newer contract is `unknown`. */
export function fromDelivery(delivery: SecretDelivery): SecretWrite["delivery"] {
  switch (delivery) {
    case SecretDelivery.SECRET_DELIVERY_UNSPECIFIED:
      return undefined;
    case SecretDelivery.SECRET_DELIVERY_ENVIRONMENT:
      return "environment";
    case SecretDelivery.SECRET_DELIVERY_FILE:
      return "file";
    default:
      return "unknown";
  }
}

const DELIVERIES: Record<Delivery, SecretDelivery> = {
  environment: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
  file: SecretDelivery.SECRET_DELIVERY_FILE,
};
