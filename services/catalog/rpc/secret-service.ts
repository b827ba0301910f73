import type { SecretServiceService } from "../../../gen/murmur/catalog/v1/secrets";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { Secrets } from "../secrets/secrets";
import { deleteSecret } from "./delete-secret";
import { getSecret } from "./get-secret";
import { listSecretVersions } from "./list-secret-versions";
import { listSecrets } from "./list-secrets";
import { setSecret } from "./set-secret";

/** The handlers of SecretService. */
export function createSecretService(secrets: Secrets): HandlersOf<typeof SecretServiceService> {
  return {
    setSecret: setSecret(secrets),
    getSecret: getSecret(secrets),
    listSecrets: listSecrets(secrets),
    deleteSecret: deleteSecret(secrets),
    listSecretVersions: listSecretVersions(secrets),
  };
}
