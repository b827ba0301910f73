import { basename, dirname } from "node:path";
import { type ProcessInfo } from "../linux/proc";
import {
  ageMsOf,
  handlesSignal,
  readStatus,
  seesDirectory,
  startedWith,
} from "../linux/process-facts";
import { type AdoptedFacts, type AdoptRequest } from "./adoption";
import { type AgentUser } from "./agent";

const USUAL_RUN_DIR = "/run/murmur";

export interface DescribeDeps {
  /** The local socket of the daemon. */
  socketPath: string;
  now: Date;
}

/**
 * Looks at a process that is being adopted and says plainly what it can use of its agent and what it
 * cannot: its environment was made when it started, and nobody can change it from outside.
 */
export function describeAdoption(
  request: AdoptRequest,
  info: ProcessInfo,
  user: AgentUser,
  { socketPath, now }: DescribeDeps,
): AdoptedFacts {
  const files = filesFault(request, user);
  const reload = reloadWords(request);
  const foreign = foreignWords(request);
  return {
    name: basename(info.name),
    startedAt: new Date(now.getTime() - ageMsOf(info)),
    canUse: [
      ...(files ? [] : [`files: ${request.envDir}/env, env.sh and env.json are the newest set`]),
      ...(reload.works ? [`reload: ${reload.words}`] : []),
      `children: those that it starts by "${execWords(request)}" have the set, follow it and say so`,
      `socket: its processes may ask for values and credentials ("murmur env get NAME") with MURMUR_SOCKET=${socketPath}`,
    ],
    cannotUse: [
      `environment: what pid ${request.pid} was started with stays, and its children inherit that`,
      ...(foreign ? [`environment: ${foreign}`] : []),
      ...(files ? [`files: ${files}`] : []),
      ...(reload.works ? [] : [`reload: ${reload.words}`]),
      `receipts: which generation pid ${request.pid} uses cannot be told`,
      "end: its exit status will not be known, and its output is not kept",
    ],
  };
}

/** The usual run directory goes without saying. */
function execWords({ path, envDir }: AdoptRequest): string {
  const runDir = dirname(dirname(envDir));
  const where = runDir === USUAL_RUN_DIR ? "" : `MURMUR_RUN_DIR=${runDir} `;
  return `${where}murmur exec --agent ${path} -- COMMAND`;
}

function filesFault({ pid, envDir }: AdoptRequest, user: AgentUser): string | undefined {
  if (seesDirectory(pid, envDir) === false)
    return `pid ${pid} sees another file system, without ${envDir}`;
  // The directory is root's and the group's where the daemon is root, else the user's own.
  if (process.getuid?.() !== 0 || user.uid === 0) return undefined;
  if (readStatus(pid)?.groups.includes(user.gid)) return undefined;
  return `pid ${pid} is not in the group ${user.gid}, which alone may enter ${envDir}`;
}

function reloadWords({ pid, reload }: AdoptRequest): { works: boolean; words: string } {
  if (!reload) return { works: false, words: "murmur.yaml names no signal and no hook for it" };
  if (reload.kind === "hook") return { works: true, words: "its hook runs after each change" };
  const { signal, to } = reload;
  if (to === "group")
    return {
      works: true,
      words: `${signal} after each change, to those of its group that handle it`,
    };
  return handlesSignal(pid, signal)
    ? { works: true, words: `${signal} after each change` }
    : { works: false, words: `pid ${pid} does not handle ${signal}, which would end it` };
}

/** It was started with another agent's environment, by `murmur exec` for one, and goes on with it. */
function foreignWords({ pid, envDir }: AdoptRequest): string | undefined {
  const directory = startedWith(pid, "MURMUR_DIR");
  if (directory === undefined || directory === envDir) return undefined;
  const other =
    dirname(directory) === dirname(envDir) ? `agent ${basename(directory)}` : "another agent";
  return `pid ${pid} was started with the set of ${other} and goes on with that`;
}
