import { type Sensitive } from "../../lib/sensitive";

/** An agent as the commands show it, whether rotation or the VM's daemon told of it. */
export interface AgentView {
  agentId: string;
  workspace: string;
  /** `parent/child`: what the agent is addressed by. */
  path: string;
  /** `running` and so on. */
  phase: string;
  vm: string;
  desiredGeneration: number;
  appliedGeneration: number;
  createdAt: Date | undefined;
  endedAt: Date | undefined;
  /** How it ended, in words: `status 1`, `SIGTERM`. */
  exit: string | undefined;
  developer: string;
  isEnding: boolean;
  /** How its programs were last told of a new generation; undefined where there was nothing to tell. */
  reload: ReloadView | undefined;
  /** Undefined for one that was started, and until its VM has told of it. */
  adoption: AdoptionView | undefined;
}

/** A process that was adopted, and what it can use of its agent, in the VM's words. */
export interface AdoptionView {
  pid: number;
  name: string;
  startedAt: Date | undefined;
  /** Where its env files are. */
  directory: string;
  canUse: readonly string[];
  cannotUse: readonly string[];
}

export interface ReloadView {
  generation: number;
  /** `running`, `done`, `failed`. */
  outcome: string;
  /** Of a failure: `hook: exit 3`. */
  reason: string;
}

export interface ProcessView {
  pid: number;
  parentPid: number;
  name: string;
  /** What it last took over; 0: it cannot be told. */
  generation: number;
  /** By what it follows: `exec`, `bash`, `node`, `python`; empty for nothing. */
  layer: string;
  /** Its next read sees a later generation by itself. */
  readsThrough: boolean;
  /** Some names are not shown to code that calls getenv. */
  notAppliedNatively: boolean;
  firstUsedAt: Date | undefined;
  /** When the generation before was last read, where the process can tell. */
  lastUsedBeforeAt: Date | undefined;
}

/** One agent with all that belongs to it. */
export interface AgentDetails {
  agent: AgentView;
  descendants: AgentView[];
  processes: ProcessView[];
  /** When the VM last told of the processes. */
  reportedAt: Date | undefined;
}

export interface SpawnWish {
  slug: string;
  /** Name of a VM; undefined leaves the choice to the service. */
  vm: string | undefined;
  workspace: string | undefined;
  variables: readonly { name: string; value: Sensitive<string> }[];
  /** Empty when a process is adopted. */
  command: readonly string[];
  /** The process to adopt; undefined: a command is started. */
  adoptPid?: number | undefined;
  workingDirectory: string | undefined;
}

export interface Spawned {
  agentId: string;
  path: string;
  /** Undefined where it goes without saying. */
  vm: string | undefined;
  warnings: string[];
}

/** Who knows of agents and can start and end them: rotation, or on a VM its daemon. */
export interface AgentKeeper {
  spawn(wish: SpawnWish): Promise<Spawned>;
  list(query: { workspace: string | undefined; includeEnded: boolean }): Promise<AgentView[]>;
  get(workspace: string | undefined, path: string): Promise<AgentDetails>;
  /** The agents whose end was asked for, the named one first. */
  kill(workspace: string | undefined, path: string): Promise<AgentView[]>;
}
