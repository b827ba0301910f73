import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { sensitive } from "../../lib/sensitive";
import { type ResourceReader } from "../input/resource-reader";
import { patient } from "../patient";
import { withSecretHint } from "../secret-hints";
import { listSecrets, secretToJson } from "../secrets-list";
import { type SecretFields, writeSecret } from "../write-secret";
import { type Resource } from "./resource";

/** The tenant's secrets. */
export const secretResource: Resource = {
  list: listSecrets,
  async get(context, name) {
    const { secrets } = await context.catalog();
    const { secret } = await patient(() => secrets.getSecret({ name }));
    return secret ? secretToJson(secret) : {};
  },
  set: (context, name, read) => writeSecret(context, { name, ...readSecretFields(read) }),
  async remove(context, name) {
    const { secrets } = await context.catalog();
    await withSecretHint({ name, isDeletion: true }, () =>
      secrets.deleteSecret({ name, expectedVersion: undefined }),
    );
  },
};

/** What a document says of a secret besides its name; the tenant's and developers' have the same. */
export function readSecretFields(read: ResourceReader): SecretFields {
  const description = read.text("description");
  const expectedVersion = read.count("expected_version");
  const value = sensitive(Buffer.from(read.text("plaintext_value") ?? ""));
  const delivery = DELIVERIES[read.oneOf("delivery", ["environment", "file"]) ?? "unspecified"];
  read.refuseOthers(["created_at", "updated_at", "updated_by", "version"]);
  return { value, delivery, description, expectedVersion };
}

const DELIVERIES = {
  unspecified: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  environment: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
  file: SecretDelivery.SECRET_DELIVERY_FILE,
};
