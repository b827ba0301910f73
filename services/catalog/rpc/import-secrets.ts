import type {
  ImportSecretsRequest,
  ImportSecretsResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import type { ImportSecrets } from "../secrets/imports";
import { toSecretMessage } from "./secret-message";

/** Writes new versions of many secrets, all or none. */
export function importSecrets(
  importAll: ImportSecrets,
): UnaryHandler<ImportSecretsRequest, ImportSecretsResponse> {
  return async ({ secrets, dryRun, requestId }, context) => {
    const written = await importAll(callerOf(context), {
      secrets: secrets.map(({ name, plaintextValue }) => ({
        name,
        value: sensitive(plaintextValue),
      })),
      isDryRun: dryRun,
      requestId,
    });
    return { secrets: written.map(toSecretMessage) };
  };
}
