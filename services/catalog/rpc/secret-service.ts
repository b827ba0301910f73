import type { SecretServiceService } from "../../../gen/murmur/catalog/v1/secrets";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { SecretEndings } from "../secrets/endings";
import type { ImportSecrets } from "../secrets/imports";
import type { Secrets } from "../secrets/secrets";
import { deleteSecret } from "./delete-secret";
import { destroySecretVersion } from "./destroy-secret-version";
import { getSecret } from "./get-secret";
import { importSecrets } from "./import-secrets";
import { listSecretVersions } from "./list-secret-versions";
import { listSecrets } from "./list-secrets";
import { revokeSecret } from "./revoke-secret";
import { setSecret } from "./set-secret";

export interface SecretServiceDeps {
  secrets: Secrets;
  endings: SecretEndings;
  importAll: ImportSecrets;
}

/** The handlers of SecretService. */
export function createSecretService(
  deps: SecretServiceDeps,
): HandlersOf<typeof SecretServiceService> {
  const { secrets, endings, importAll } = deps;
  return {
    setSecret: setSecret(secrets),
    getSecret: getSecret(secrets),
    listSecrets: listSecrets(secrets),
    deleteSecret: deleteSecret(secrets),
    listSecretVersions: listSecretVersions(secrets),
    importSecrets: importSecrets(importAll),
    revokeSecret: revokeSecret(endings),
    destroySecretVersion: destroySecretVersion(endings),
  };
}
