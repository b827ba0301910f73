import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, closeSync, constants } from "node:fs";
import { join } from "node:path";
import { failedPrecondition, invalidFields, type FieldViolation } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type AgentUser, type SpawnRequest } from "./agent";
import { EXEC_SCRIPT } from "./shim-script";
import { type StateDirectory } from "./state-directory";
import { type AgentRecord } from "./agent-record";

/** The most bytes that a command with its arguments may have. */
const MAX_COMMAND_BYTES = 128 * 1024;
const MAX_ARGUMENTS = 1024;
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const SHELL = "/bin/sh";

/** Throws INVALID_ARGUMENT that lists everything wrong with the request. */
export function checkSpawnRequest(request: SpawnRequest): void {
  const { agentId, argv, envDir, cwd = "/", user } = request;
  const violations: FieldViolation[] = [];
  const require = (isRight: boolean, field: string, description: string): void => {
    if (!isRight) violations.push({ field, description });
  };
  const bytes = argv.reduce((sum, argument) => sum + Buffer.byteLength(argument) + 1, 0);
  require(AGENT_ID.test(agentId), "agent_id", "agent_id must be 1 to 64 letters, digits, - and _");
  require(argv.length > 0 && argv[0] !== "", "argv", "argv must name a command");
  require(!argv[0]?.startsWith("-"), "argv", "argv must not begin with an option");
  require(argv.length <= MAX_ARGUMENTS, "argv", `argv has more than ${MAX_ARGUMENTS} arguments`);
  require(bytes <= MAX_COMMAND_BYTES, "argv", `argv exceeds ${MAX_COMMAND_BYTES} bytes`);
  require(argv.every(isPlain), "argv", "argv must be UTF-8 without NUL");
  require(isPlain(cwd) && cwd.startsWith("/"), "cwd", "cwd must be an absolute path");
  require(isPlain(envDir) && envDir.startsWith("/"), "env_dir", "env_dir must be an absolute path");
  const ids = user ? [user.uid, user.gid, ...(user.groups ?? [])] : [];
  require(ids.every(isUserNumber), "user", "user must be numbers from 0 up");
  if (violations.length > 0) throw invalidFields(violations);
}

/**
 * Starts the shim of an agent whose record stands; resolves when it runs, and rejects when it
 * could not be started, without anything left running. The process returned is the shim: it keeps
 * nothing of the daemon but its standard streams, which are files.
 */
export async function launchShim(
  state: StateDirectory,
  environment: Record<string, string>,
  record: AgentRecord,
  request: SpawnRequest,
): Promise<ChildProcess> {
  const command = [
    ...givingUpRights(record.user),
    ...[SHELL, "-c", EXEC_SCRIPT, "murmur-exec", join(record.envDir, "..data", "env.sh")],
    ...[request.cwd ?? "", ...request.argv],
  ];
  const facts = [record.agentId, state.events, record.cgroup?.path ?? ""];
  const log = state.openLog(record);
  try {
    const shim = spawn(SHELL, [state.shimPath, ...facts, ...command], {
      cwd: state.pathOf(record.agentId),
      env: environment,
      // Its own session: no signal to the daemon's group or terminal reaches it.
      detached: true,
      stdio: ["ignore", log, log],
    });
    await new Promise<void>((resolve, reject) => {
      shim.once("spawn", resolve);
      shim.once("error", reject);
    });
    shim.unref();
    return shim;
  } finally {
    closeSync(log);
  }
}

/** The command that becomes an agent's user before the one that follows; nothing for the same user. */
export function givingUpRights(user: AgentUser): string[] {
  if (user.uid === process.getuid?.() && user.gid === process.getgid?.()) return [];
  const setpriv = findSetpriv();
  const groups = user.groups?.length ? ["--groups", user.groups.join(",")] : ["--clear-groups"];
  const rights = ["--reuid", String(user.uid), "--regid", String(user.gid), "--inh-caps=-all"];
  return [setpriv, ...rights, ...groups, "--"];
}

function findSetpriv(): string {
  if (process.getuid?.() !== 0) {
    throw failedPrecondition(
      ErrorReason.ERROR_REASON_PERMISSION_DENIED,
      "only a daemon that is root can run agents as another user",
    );
  }
  for (const path of ["/usr/bin/setpriv", "/bin/setpriv", "/usr/local/bin/setpriv"]) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there: the next place.
    }
  }
  throw failedPrecondition(
    ErrorReason.ERROR_REASON_DEPENDENCY_AWAY,
    "setpriv (util-linux) is needed to run agents as another user",
  );
}

function isPlain(text: string): boolean {
  return !text.includes("\0") && !/\p{Surrogate}/u.test(text);
}

function isUserNumber(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1;
}
