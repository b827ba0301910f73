import { isAgentId } from "./env-set";
import { EnvSetError } from "./env-set-error";
import { type FreeSpace } from "./free-space";
import { DIRECTORY_MODE } from "./layout";
import { type DirectoryIo, PinnedDirectory } from "./pinned-directory";
import { type Owner } from "./sync-fs";

/** What the operations on env files share. */
export interface EnvFilesContext {
  /** `<run dir>/agents`, absolute. */
  agentsDirectory: string;
  agents: AgentsDirectory;
  /** The daemon's effective user. Root gives files to agents; another user keeps them. */
  uid: number;
  suffix: () => string;
  space: FreeSpace;
  /**
   * Agents whose directory, page and links this process has seen whole, with the visible names:
   * for those a swap need not look again. Whoever finds or does damage drops the agent from it.
   */
  prepared: Map<string, string>;
  /** The directory of a set that is written and not in force, by agent: no generation to keep or count. */
  staged: Map<string, string>;
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

/**
 * The directory of all agents, held open for the daemon's life: whatever happens to the path above
 * it, work stays in the directory that was checked. Opened again only when it was removed.
 */
export class AgentsDirectory {
  readonly #io: DirectoryIo;
  readonly #path: string;
  readonly #uid: number;
  #held: PinnedDirectory | undefined;

  constructor(io: DirectoryIo, path: string, uid: number) {
    this.#io = io;
    this.#path = path;
    this.#uid = uid;
  }

  /** Throws EnvSetError `unsafe_directory` for one that another user owns or may write. */
  get(): PinnedDirectory {
    if (this.#held && this.#held.requireOwnedBy(this.#uid).nlink > 0) return this.#held;
    this.close();
    this.#held = PinnedDirectory.open(this.#io, this.#path);
    this.#held.requireOwnedBy(this.#uid);
    return this.#held;
  }

  /** As `get`, without looking whether it was removed meanwhile. */
  held(): PinnedDirectory {
    return this.#held ?? this.get();
  }

  close(): void {
    this.#held?.close();
    this.#held = undefined;
  }
}

/**
 * Opens the directory of an agent that this process has prepared, and so has checked: only who may
 * write in the agents' directory, the daemon, could have put another there. Throws when it is gone.
 */
export function usePrepared<T>(
  context: EnvFilesContext,
  agentId: string,
  use: (directory: PinnedDirectory) => T,
): T {
  return context.agents.held().useChild(agentId, use);
}

/** Opens an agent's directory; undefined when it has none. */
export function useAgent<T>(
  context: EnvFilesContext,
  agentId: string,
  use: (directory: PinnedDirectory) => T,
): T | undefined {
  requireAgentId(agentId);
  const agents = context.agents.get();
  if (agents.kindOf(agentId) === undefined) return undefined;
  return agents.useChild(agentId, (directory) => {
    directory.requireOwnedBy(context.uid);
    return use(directory);
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
  const agents = context.agents.get();
  if (agents.kindOf(agentId) === undefined) agents.makeDirectory(agentId);
  return agents.useChild(agentId, (directory) => {
    const stat = directory.requireOwnedBy(context.uid);
    const isAdmitted =
      (stat.mode & 0o7777) === DIRECTORY_MODE && (!owner || stat.gid === owner.gid);
    if (!isAdmitted) directory.admit(owner, DIRECTORY_MODE);
    return use(directory);
  });
}

/** Throws EnvSetError `bad_set` for what may not be a directory's name. */
export function requireAgentId(agentId: string): void {
  if (!isAgentId(agentId)) throw new EnvSetError("bad_set", "bad agent id");
}
