import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, parse } from "node:path";

/** Whom a part runs as when we are root. */
export interface RunAs {
  user: string;
  uid: number;
  gid: number;
  /** Kept capabilities, where directories above the part's files are closed to that user. */
  capabilities: string[];
}

const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path));
/** Users that every Linux has, the fittest first. */
const UNPRIVILEGED = ["postgres", "daemon", "nobody"];

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The unprivileged user that a part must run as when we are root; undefined when we are not. A
 * home such as /root is closed to that user, so it then keeps the right to pass directories.
 */
export function unprivilegedUser(...paths: string[]): RunAs | undefined {
  if (!isRoot()) return undefined;
  const found = UNPRIVILEGED.map((user) => ({ user, ...idsOf(user) })).find(({ uid }) => uid > 0);
  if (!found) throw new Error(`none of the users ${UNPRIVILEGED.join(", ")} exists`);
  const isOpen = paths.every((path) => isReachable(path));
  return { ...found, capabilities: isOpen ? [] : ["dac_override"] };
}

/**
 * The command that runs `command` as that user. Where setpriv is installed the process also
 * receives `deathSignal` when we die, however we die.
 */
export function withPrivileges(
  [command, ...args]: [string, ...string[]],
  runAs: RunAs | undefined,
  deathSignal?: NodeJS.Signals,
): [string, string[]] {
  if (!SETPRIV) {
    if (runAs) throw new Error("setpriv is missing: install util-linux, or do not run as root");
    return [command, args];
  }
  const flags: string[] = [];
  if (runAs) flags.push(`--reuid=${runAs.uid}`, `--regid=${runAs.gid}`, "--clear-groups");
  const kept = (runAs?.capabilities ?? []).map((name) => `+${name}`).join(",");
  if (kept) flags.push(`--inh-caps=${kept}`, `--ambient-caps=${kept}`);
  if (deathSignal) flags.push(`--pdeathsig=${deathSignal.replace("SIG", "")}`);
  return [SETPRIV, [...flags, "--", command, ...args]];
}

function idsOf(user: string): { uid: number; gid: number } {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const [, , uid, gid] = lines.find((line) => line.startsWith(`${user}:`))?.split(":") ?? [];
  return { uid: Number(uid ?? -1), gid: Number(gid ?? -1) };
}

/** Whether everybody may pass every directory on the way to `path`. */
function isReachable(path: string): boolean {
  for (let at = dirname(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === parse(at).root) return true;
  }
}
