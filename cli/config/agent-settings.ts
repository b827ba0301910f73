import { readFileSync } from "node:fs";
import {
  type AgentSettings,
  type HostCredential,
  type Reload,
  ReloadTarget,
} from "../../gen/murmur/rotation/v1/agents";
import { LocalError, UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { parseFlatTexts } from "./flat-texts";
import { refuseForeign, SHARED_CONFIG } from "./local-config";
import { findNearest } from "./nearest";

type Json = Record<string, unknown>;

const LAYERS = ["exec", "bash", "node", "python"];
const SECTIONS = ["reload", "live", "git", "docker"];

/**
 * What the nearest murmur.yaml says of an agent: `reload`, `live`, `git` and `docker` at its top are
 * for all agents, those below `agents: <slug>:` for one. Undefined when it says nothing. Throws
 * LocalError that names the file and the key.
 */
export async function readAgentSettings(
  slug: string,
  cwd: string,
): Promise<AgentSettings | undefined> {
  const path = findNearest(SHARED_CONFIG, cwd);
  if (path === undefined) return undefined;
  const source = readFileSync(path, "utf8");
  const texts = parseFlatTexts(source);
  if (texts && ![...SECTIONS, "agents"].some((key) => texts.has(key))) return undefined;
  // What it names is run on the VM, and logs in to hosts.
  refuseForeign(path);
  const { parse } = await import("yaml");
  const reader = new SettingsReader(path);
  return reader.read(
    reader.parse(() => parse(source, { prettyErrors: false }) as unknown),
    slug,
  );
}

/** Reads one file, and names it in what it throws. */
class SettingsReader {
  constructor(private readonly path: string) {}

  parse(parse: () => unknown): unknown {
    try {
      return parse();
    } catch (error) {
      const { code } = error as { code?: string };
      throw new LocalError(`${this.path} is not YAML (${code ?? "unknown"})`);
    }
  }

  read(document: unknown, slug: string): AgentSettings | undefined {
    const all = this.#object("the file", document);
    const one = this.#object(`agents.${slug}`, this.#object("agents", all["agents"])[slug]);
    if (![all, one].some((section) => SECTIONS.some((name) => section[name] !== undefined)))
      return undefined;
    const childReload = this.#reload("reload", all["reload"]);
    const live = { ...this.#live("live", all["live"]), ...this.#live("live", one["live"]) };
    return {
      reload: this.#reload(`agents.${slug}.reload`, one["reload"]) ?? childReload,
      childReload,
      layersOff: LAYERS.filter((layer) => live[layer] === false),
      git: this.#hosts("git", {
        ...this.#object("git", all["git"]),
        ...this.#object("git", one["git"]),
      }),
      docker: this.#hosts("docker", {
        ...this.#object("docker", all["docker"]),
        ...this.#object("docker", one["docker"]),
      }),
    };
  }

  #reload(key: string, value: unknown): Reload | undefined {
    if (value === undefined || value === null) return undefined;
    const { signal, hook, to, timeout, ...others } = this.#object(key, value);
    this.#refuseOthers(key, others);
    if ((signal === undefined) === (hook === undefined))
      throw this.#fault(key, "must have a signal or a hook");
    return {
      how:
        signal === undefined
          ? { $case: "hook", value: { argv: this.#command(`${key}.hook`, hook) } }
          : { $case: "signal", value: this.#text(`${key}.signal`, signal) },
      target: this.#target(`${key}.to`, to),
      timeoutMs: timeout === undefined ? 0 : this.#duration(`${key}.timeout`, timeout),
    };
  }

  #command(key: string, value: unknown): string[] {
    if (typeof value === "string" && value !== "") return ["/bin/sh", "-c", value];
    const isList = Array.isArray(value) && value.length > 0;
    if (isList && value.every((word): word is string => typeof word === "string")) return value;
    throw this.#fault(key, "must be a command, or a list of a program and its arguments");
  }

  #target(key: string, value: unknown): ReloadTarget {
    if (value === undefined || value === "process") return ReloadTarget.RELOAD_TARGET_PROCESS;
    if (value === "group") return ReloadTarget.RELOAD_TARGET_GROUP;
    throw this.#fault(key, "must be process or group");
  }

  #duration(key: string, value: unknown): number {
    try {
      return parseDurationMs(key, this.#text(key, value));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new LocalError(`${this.path}: ${error.message}`);
    }
  }

  /** Layer → whether it is on. */
  #live(key: string, value: unknown): Record<string, boolean> {
    const entries = Object.entries(this.#object(key, value)).map(([layer, state]) => {
      if (!LAYERS.includes(layer))
        throw this.#fault(key, `must name layers of ${LAYERS.join(", ")}`);
      if (state !== "off" && state !== "on" && typeof state !== "boolean")
        throw this.#fault(`${key}.${layer}`, "must be on or off");
      return [layer, state === "on" || state === true] as const;
    });
    return Object.fromEntries(entries);
  }

  #hosts(key: string, hosts: Json): HostCredential[] {
    return Object.entries(hosts).map(([host, value]) => {
      const at = `${key}.${host}`;
      const { username = "", password_secret: secret, ...others } = this.#object(at, value);
      this.#refuseOthers(at, others);
      return {
        host: host.toLowerCase(),
        username: username === "" ? "" : this.#text(`${at}.username`, username),
        passwordSecret: this.#text(`${at}.password_secret`, secret),
      };
    });
  }

  #object(key: string, value: unknown): Json {
    if (value === undefined || value === null) return {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Json;
    throw this.#fault(key, "must hold keys and values");
  }

  #text(key: string, value: unknown): string {
    if (typeof value === "string" && value !== "") return value;
    throw this.#fault(key, "must be a text");
  }

  #refuseOthers(key: string, others: Json): void {
    const [other] = Object.keys(others);
    if (other !== undefined) throw this.#fault(`${key}.${other}`, "is unknown");
  }

  #fault(key: string, what: string): LocalError {
    return new LocalError(`${this.path}: ${key} ${what}`);
  }
}
