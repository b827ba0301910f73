import { developerScope } from "../domain/developer-scope";
import {
  mergeScopes,
  setIdOf,
  sizeFault,
  variablesOf,
  type SecretRef,
} from "../domain/environment-set";
import { rollBack } from "../domain/rollback";
import { workspaceNotFound } from "../workspaces/workspaces";
import type { SnapshotFacts } from "../store/snapshot-store";
import { environmentTooLarge, vmRemoved, type NamedAgent } from "./snapshot-errors";

/** One agent that needs a generation. */
export interface AgentToSnapshot extends NamedAgent {
  workspace: string;
  vmId: string;
  /** Who spawned the root of its tree, `provider/username`. */
  developer: string;
  /** When set, the new generation takes the pins of this earlier one. */
  rollbackTo: bigint | undefined;
  /** Whether spawn-time secrets were stored for it. */
  expectsSpawnSecrets: boolean;
}

/** A set that is ready to be stored. */
export interface ComposedSet {
  refs: readonly SecretRef[];
  id: Buffer;
  hexId: string;
  /** Names of the variables that it fills, sorted. */
  variables: readonly string[];
}

export interface Composition {
  set: ComposedSet;
  missingNames: readonly string[];
  notRolledBackNames: readonly string[];
}

/** What an agent goes back to. */
export interface RollbackPins {
  refs: readonly SecretRef[];
  deadVersions: ReadonlySet<string>;
}

/** Says what is in an agent's next set; agents of one workspace and developer share the work. */
export interface Composer {
  /** Throws WORKSPACE_NOT_FOUND, VM_REMOVED or ENVIRONMENT_TOO_LARGE. */
  compose(agent: AgentToSnapshot, rollback: RollbackPins | undefined): Composition;
}

/** What all agents of a developer in a workspace have. */
interface SharedScope {
  missingNames: readonly string[];
  isTaken: (pin: SecretRef) => boolean;
  /** The tenant's secrets, with the developer's over them. */
  set: ComposedSet;
}

export function createComposer(facts: SnapshotFacts): Composer {
  const scopes = new Map<string, SharedScope>();
  const scopeOf = ({ workspace, developer }: AgentToSnapshot) => {
    const key = `${workspace}\0${developer}`;
    const scope = scopes.get(key) ?? toScope(facts, workspace, developer);
    scopes.set(key, scope);
    return scope;
  };
  return {
    compose(agent, rollback) {
      if (!facts.vmIds.has(agent.vmId)) throw vmRemoved(agent, agent.vmId);
      const scope = scopeOf(agent);
      const spawn = facts.spawnSecrets.get(agent.agentId) ?? [];
      const back = rollback && rollBackTo(scope, rollback);
      const isShared = spawn.length === 0 && !back;
      const set = isShared ? scope.set : composeSet([back?.refs ?? scope.set.refs, spawn]);
      const fault = sizeFault(set.refs);
      if (fault) throw environmentTooLarge(agent, fault);
      const { missingNames } = scope;
      return { set, missingNames, notRolledBackNames: back?.kept ?? [] };
    },
  };
}

function toScope(facts: SnapshotFacts, workspace: string, developer: string): SharedScope {
  if (!facts.workspaces.has(workspace)) throw workspaceNotFound(workspace);
  const names = facts.workspaces.get(workspace);
  const wanted = names && new Set(names);
  const tenants = facts.secrets.filter(({ name }) => wanted?.has(name) ?? true);
  const present = new Set(tenants.map(({ name }) => name));
  const missingNames = (names ?? []).filter((name) => !present.has(name)).sort();
  const own = developerScope(developer, {
    refs: facts.userSecrets.get(developer) ?? [],
    tokenSecret: facts.tokenSecrets.get(developer),
  });
  return {
    missingNames: [...missingNames, ...own.missingPaths],
    isTaken: (pin) => (pin.kind === "user" ? own.isTaken(pin) : (wanted?.has(pin.name) ?? true)),
    set: composeSet([tenants, own.refs]),
  };
}

function rollBackTo({ set, isTaken }: SharedScope, { refs, deadVersions }: RollbackPins) {
  const current = new Map(set.refs.map((ref) => [ref.name, ref]));
  const isDead = (versionId: string) => deadVersions.has(versionId);
  return rollBack({ old: refs, current, isTaken, isDead });
}

function composeSet(scopes: readonly (readonly SecretRef[])[]): ComposedSet {
  const refs = mergeScopes(scopes);
  const id = setIdOf(refs);
  return { refs, id, hexId: id.toString("hex"), variables: variablesOf(refs) };
}
