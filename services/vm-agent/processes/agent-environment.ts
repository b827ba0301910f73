import { readFileSync } from "node:fs";
import { type InstalledLayers, liveNames } from "../live-env/launch";
import { type AgentUser } from "./agent";

/** Taken over from the daemon's own environment, and nothing else: never MURMUR_* nor a secret. */
const INHERITED = /^(?:PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ)$/;
/** Taken over too when the agent runs as the daemon's own user. */
const INHERITED_AS_SAME_USER = /^(?:HOME|USER|LOGNAME|SHELL|TMPDIR)$/;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface AgentEnvironmentFacts {
  /** The daemon's environment, from which a few harmless names are picked. */
  inherited: Readonly<Record<string, string | undefined>>;
  envDir: string;
  socketPath: string;
  /** What lets running programs follow their set; absent: nothing does. */
  layers?: InstalledLayers | undefined;
  /** Layers that are switched off for this agent. */
  layersOff?: readonly string[] | undefined;
  /** Absent: the daemon's own user. */
  user?: AgentUser | undefined;
  /** The text of /etc/passwd; a parameter for tests. */
  passwd?: string;
}

/**
 * What an agent's process starts with, before its environment file is read on top: a way to find
 * programs, who and where it is, `MURMUR_DIR` (the marker of the agent's processes) and
 * `MURMUR_SOCKET`, and what leads its programs to the layers of live-env. No secret.
 */
export function agentEnvironment(facts: AgentEnvironmentFacts): Record<string, string> {
  const isSameUser = facts.user === undefined || facts.user.uid === process.getuid?.();
  const picked = Object.entries(facts.inherited).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      (INHERITED.test(entry[0]) || (isSameUser && INHERITED_AS_SAME_USER.test(entry[0]))),
  );
  return {
    PATH: DEFAULT_PATH,
    ...Object.fromEntries(picked),
    ...(isSameUser || !facts.user ? {} : describeUser(facts.user.uid, facts.passwd)),
    MURMUR_DIR: facts.envDir,
    MURMUR_SOCKET: facts.socketPath,
    ...(facts.layers && liveNames({}, facts.layers, facts.layersOff)),
  };
}

function describeUser(uid: number, passwd = readPasswd()): Record<string, string> {
  const fields = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find((line) => line[2] === String(uid));
  const [name = String(uid), , , , , home = "/", shell = "/bin/sh"] = fields ?? [];
  return { USER: name, LOGNAME: name, HOME: home, SHELL: shell };
}

function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    // A container without the file: the number stands for the name.
    return "";
  }
}
