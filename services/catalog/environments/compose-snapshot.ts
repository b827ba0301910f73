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

/** Says what is in an agent's next set; agents of one workspace share the work. */
export interface Composer {
  /** Throws WORKSPACE_NOT_FOUND, VM_REMOVED or ENVIRONMENT_TOO_LARGE. */
  compose(agent: AgentToSnapshot, rollback: RollbackPins | undefined): Composition;
}

interface WorkspaceScope {
  refs: readonly SecretRef[];
  byName: ReadonlyMap<string, SecretRef>;
  missingNames: readonly string[];
  isTaken: (name: string) => boolean;
  set: ComposedSet;
}

export function createComposer(facts: SnapshotFacts): Composer {
  const scopes = new Map<string, WorkspaceScope>();
  const scopeOf = (workspace: string) => {
    const scope = scopes.get(workspace) ?? toScope(facts, workspace);
    scopes.set(workspace, scope);
    return scope;
  };
  return {
    compose(agent, rollback) {
      if (!facts.vmIds.has(agent.vmId)) throw vmRemoved(agent, agent.vmId);
      const scope = scopeOf(agent.workspace);
      const spawn = facts.spawnSecrets.get(agent.agentId) ?? [];
      const back = rollback && rollBackTo(scope, rollback);
      const isShared = spawn.length === 0 && !back;
      const set = isShared ? scope.set : composeSet([back?.refs ?? scope.refs, spawn]);
      const fault = sizeFault(set.refs);
      if (fault) throw environmentTooLarge(agent, fault);
      const { missingNames } = scope;
      return { set, missingNames, notRolledBackNames: back?.kept ?? [] };
    },
  };
}

function toScope(facts: SnapshotFacts, workspace: string): WorkspaceScope {
  if (!facts.workspaces.has(workspace)) throw workspaceNotFound(workspace);
  const names = facts.workspaces.get(workspace);
  const wanted = names && new Set(names);
  const isTaken = (name: string) => wanted?.has(name) ?? true;
  const refs = facts.secrets.filter(({ name }) => isTaken(name));
  const byName = new Map(refs.map((ref) => [ref.name, ref]));
  const missingNames = (names ?? []).filter((name) => !byName.has(name)).sort();
  return { refs, byName, missingNames, isTaken, set: composeSet([refs]) };
}

function rollBackTo(scope: WorkspaceScope, { refs, deadVersions }: RollbackPins) {
  const isDead = (versionId: string) => deadVersions.has(versionId);
  return rollBack({ old: refs, current: scope.byName, isTaken: scope.isTaken, isDead });
}

function composeSet(scopes: readonly (readonly SecretRef[])[]): ComposedSet {
  const refs = mergeScopes(scopes);
  const id = setIdOf(refs);
  return { refs, id, hexId: id.toString("hex"), variables: variablesOf(refs) };
}
