import type { CredentialSecretServiceService } from "../../../gen/murmur/catalog/v1/credential_secrets";
import type { HandlersOf } from "../../../lib/grpc/definition";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import type { CredentialSecrets } from "../credential-secrets/credential-secrets";

/** The handlers of CredentialSecretService. */
export function createCredentialSecretService(
  secrets: CredentialSecrets,
): HandlersOf<typeof CredentialSecretServiceService> {
  return {
    async stageCredential(request, context) {
      const { stagedId, secretName, developer, apiKeyId } = request;
      const currentVersion = await secrets.stage(callerOf(context), {
        ...{ stagedId, secretName, developer },
        apiKeyId: apiKeyId === "" ? undefined : apiKeyId,
        value: sensitive(request.plaintextValue),
        replaces: request.replacesSha256,
      });
      return { currentVersion };
    },
    async storeStagedCredential({ stagedId }, context) {
      return { version: await secrets.store(callerOf(context), stagedId) };
    },
    async discardStagedCredential({ stagedId, isSettled }, context) {
      const stored = await secrets.discard(callerOf(context), stagedId, isSettled);
      return { storedVersion: stored ?? 0n };
    },
    async findCredentialHolders(request, context) {
      const which = {
        ...{ secretName: request.secretName, hash: request.credentialSha256 },
        ...{ from: request.fromVersion, below: request.belowVersion },
      };
      return secrets.findHolders(callerOf(context), which, request.retired);
    },
  };
}
