import { isAgentId } from "./env-set";
import { EnvSetError, errnoOf } from "./env-set-error";
import { DIRECTORY_MODE } from "./layout";
import { PinnedDirectory } from "./pinned-directory";
import { type Owner, type SyncFs } from "./sync-fs";

/** What the operations on env files share. */
export interface EnvFilesContext {
  fs: SyncFs;
  /** `<run dir>/agents`, absolute. */
  agentsDirectory: string;
  /** The daemon's effective user. Root gives files to agents; another user keeps them. */
  uid: number;
  suffix: () => string;
}

/** How an agent's directory and files are to be owned; undefined: as they are created. */
export interface Ownership {
  directory: Owner | undefined;
  file: Owner | undefined;
}

/** `root:<agent's group>` and the agent's user under root; the daemon's own user otherwise. */
export function ownershipFor(context: EnvFilesContext, owner: Owner): Ownership {
  if (context.uid !== 0) return { directory: undefined, file: undefined };
  return { directory: { uid: 0, gid: owner.gid }, file: owner };
}

/** Opens the directory of all agents; refuses one that another user owns or may write. */
export function useAgents<T>(context: EnvFilesContext, use: (agents: PinnedDirectory) => T): T {
  return PinnedDirectory.use(context.fs, context.agentsDirectory, (agents) => {
    agents.requireOwnedBy(context.uid);
    return use(agents);
  });
}

/** Opens an agent's directory; undefined when it has none. */
export function useAgent<T>(
  context: EnvFilesContext,
  agentId: string,
  use: (directory: PinnedDirectory) => T,
): T | undefined {
  requireAgentId(agentId);
  return useAgents(context, (agents) => {
    if (agents.kindOf(agentId) === undefined) return undefined;
    return agents.useChild(agentId, (directory) => {
      directory.requireOwnedBy(context.uid);
      return use(directory);
    });
  });
}

/** Opens an agent's directory, making it and giving it its owner and mode where it lacks them. */
export function useOrMakeAgent<T>(
  context: EnvFilesContext,
  target: { agentId: string; owner: Owner | undefined },
  use: (directory: PinnedDirectory) => T,
): T {
  const { agentId, owner } = target;
  requireAgentId(agentId);
  return useAgents(context, (agents) => {
    makeIfMissing(agents, agentId);
    return agents.useChild(agentId, (directory) => {
      const stat = directory.requireOwnedBy(context.uid);
      const isAdmitted =
        (stat.mode & 0o7777) === DIRECTORY_MODE && (!owner || stat.gid === owner.gid);
      if (!isAdmitted) directory.admit(owner, DIRECTORY_MODE);
      return use(directory);
    });
  });
}

function makeIfMissing(agents: PinnedDirectory, agentId: string): void {
  if (agents.kindOf(agentId) !== undefined) return;
  try {
    agents.makeDirectory(agentId);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function requireAgentId(agentId: string): void {
  if (!isAgentId(agentId)) throw new EnvSetError("bad_set", "bad agent id");
}
