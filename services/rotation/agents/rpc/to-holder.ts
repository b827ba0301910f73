import { SecretScope } from "../../../../gen/murmur/catalog/v1/environments";
import {
  HeldScope,
  type HeldVersion as HeldMessage,
  type Holder as HolderMessage,
} from "../../../../gen/murmur/rotation/v1/agents";
import type { HeldVersion, Holder } from "../domain/holder";
import { toAgent } from "./to-agent";

/** A holder as the contract shows it. */
export function toHolder({ agent, files, coming, processes }: Holder): HolderMessage {
  return {
    agent: toAgent(agent),
    files: files && toHeld(files),
    coming: coming.map(toHeld),
    processes: processes.map(({ process: { pid, name }, held }) => ({
      ...{ pid, name },
      held: toHeld(held),
    })),
  };
}

const SCOPES: Partial<Record<SecretScope, HeldScope>> = {
  [SecretScope.SECRET_SCOPE_TENANT]: HeldScope.HELD_SCOPE_TENANT,
  [SecretScope.SECRET_SCOPE_DEVELOPER]: HeldScope.HELD_SCOPE_DEVELOPER,
  [SecretScope.SECRET_SCOPE_SPAWN]: HeldScope.HELD_SCOPE_SPAWN,
};

function toHeld({ scope, ...held }: HeldVersion): HeldMessage {
  return { ...held, scope: SCOPES[scope] ?? HeldScope.HELD_SCOPE_UNSPECIFIED };
}
