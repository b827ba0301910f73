import { invalid, invalidFields } from "../../../lib/errors";
import type { Caller } from "../audit";
import { TENANT } from "../domain/secret";
import { deleteNameFault, isSecretName } from "../domain/secret-name";
import type { EndingStore, SecretHolder } from "../store/ending-store";
import { secretNotFound, versionInUse, versionNotFound } from "./secret-errors";

export interface VersionToDestroy {
  name: string;
  version: bigint;
  /** Also when it is current or agents hold it. */
  force: boolean;
}

/** Ends tenant secrets for those who hold them; both answers name them. */
export interface SecretEndings {
  /** Deletes a secret; one that is deleted already is no error. Throws SECRET_NOT_FOUND. */
  revoke(caller: Caller, name: string): Promise<SecretHolder[]>;
  /** Throws SECRET_NOT_FOUND, SECRET_VERSION_NOT_FOUND and SECRET_VERSION_IN_USE. */
  destroy(caller: Caller, which: VersionToDestroy): Promise<SecretHolder[]>;
}

export function createSecretEndings(store: EndingStore): SecretEndings {
  return {
    async revoke(caller, name) {
      const fault = deleteNameFault(name);
      if (fault !== undefined) throw invalid("name", fault);
      const outcome = await store.revoke(caller, name);
      if (outcome.kind === "not-found") throw secretNotFound({ owner: TENANT, name });
      return outcome.holders;
    },
    async destroy(caller, which) {
      const { name, version } = which;
      if (version < 1n)
        throw invalidFields([{ field: "version", description: "versions start at 1" }]);
      if (!isSecretName(name)) throw secretNotFound({ owner: TENANT, name });
      const outcome = await store.destroy(caller, which);
      switch (outcome.kind) {
        case "destroyed":
          return outcome.holders;
        case "not-found":
          throw secretNotFound({ owner: TENANT, name });
        case "version-not-found":
          throw versionNotFound(name, version);
        case "in-use":
          throw versionInUse(which, outcome);
      }
    },
  };
}
