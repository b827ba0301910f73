import {
  SecretDelivery,
  type Secret as SecretMessage,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { Delivery, Secret, SecretWrite } from "../domain/secret";

/** A secret as callers see it. */
export function toSecretMessage(secret: Secret): SecretMessage {
  const { delivery, ...rest } = secret;
  return { ...rest, delivery: DELIVERIES[delivery] };
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
