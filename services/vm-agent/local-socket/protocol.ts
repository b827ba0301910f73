import { errorReasonToJSON, ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { invalidFields, isAppError, type FieldViolation } from "../../../lib/errors";
import { sensitive, type Sensitive } from "../../../lib/sensitive";

/**
 * The protocol of the local socket, `MURMUR_SOCKET`: how a process of an agent asks its VM's daemon
 * for something. One JSON object a line (UTF-8, `\n`), requests one way, an answer each the other
 * way and in the same order:
 *
 * ```
 * → {"id": "1", "method": "spawn-child", "params": {"slug": "tests", "argv": ["make", "check"]}}
 * ← {"id": "1", "result": {"agent_id": "0b9c…", "path": "fix-auth/tests", "warnings": []}}
 * → {"id": "2", "method": "status"}
 * ← {"id": "2", "error": {"code": "NOT_FOUND", "reason": "AGENT_NOT_FOUND", "message": "no agent …"}}
 * ```
 *
 * `id` is the caller's own (a string of at most 64 characters; answered as `null` when absent).
 * A request never says who is asking: that is the kernel's word about the process that connected.
 *
 * | Method | Who | Params | Result |
 * | --- | --- | --- | --- |
 * | `spawn-child` | agent | `slug`, `argv`, `env`?: {NAME: value}, `working_directory`? | `agent_id`, `path`, `warnings` |
 * | `adopt-child` | agent | `slug`, `pid` of a process of the agent's user that is no agent's, `env`?, `working_directory`? | the same |
 * | `list` | agent | `include_ended`? | `agents`: its descendants |
 * | `status` | agent | `path`? (of a descendant; else itself) | one agent, its descendants, processes |
 * | `kill` | agent | `path` of a descendant | `agents`: whose end was asked for |
 * | `get-values` | agent | `names`: 1 to 100 | `generation`, `values`: {NAME: base64}, without names that its set lacks |
 * | `get-settings` | agent | | `git`, `docker`: {host: {`username`?, `password_secret`}} |
 * | `ping` | daemon's user, root | | `{}` |
 * | `daemon-status` | daemon's user, root | | the daemon's own view |
 *
 * Limits: a line has at most 1 MiB and arrives within 10 s of the answer before it; an answer comes
 * within 60 s; a connection carries 100 requests; an agent has 16 connections at a time. What
 * breaks the framing is answered and ends the connection; any other wrong request leaves it open.
 */
export type LocalRequest =
  | ({ method: "spawn-child" } & SpawnChildRequest)
  | ({ method: "adopt-child" } & AdoptChildRequest)
  | { method: "list"; includeEnded: boolean }
  | { method: "status"; path: string | undefined }
  | { method: "kill"; path: string }
  | { method: "get-values"; names: string[] }
  | { method: "get-settings" }
  | { method: "ping" }
  | { method: "daemon-status" };

export interface SpawnChildRequest {
  slug: string;
  argv: string[];
  /** Spawn-time secrets of the child. */
  env: Map<string, Sensitive<string>>;
  workingDirectory: string | undefined;
}

export interface AdoptChildRequest extends Omit<SpawnChildRequest, "argv"> {
  pid: number;
}

/** A line as it was understood; the fault is for the answer. */
export type ParsedLine =
  { id: string | null; request: LocalRequest } | { id: string | null; fault: unknown };

const NAME = /^[A-Z][A-Z0-9_]{0,255}$/;
const MAX_ID = 64;
const MAX_TEXT = 4096;
const MAX_ARGUMENTS = 1024;
const MAX_COMMAND_BYTES = 128 * 1024;
const MAX_NAMES = 1000;
const MAX_ASKED_NAMES = 100;
const MAX_ENV_BYTES = 512 * 1024;
/** The most that Linux hands out. */
const MAX_PID = 4_194_304;

/** Reads one request; wrong ones come back with an INVALID_ARGUMENT that lists every fault. */
export function parseLine(line: string): ParsedLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { id: null, fault: wrong("request", "request must be one line of JSON") };
  }
  if (!isObject(value)) return { id: null, fault: wrong("request", "request must be an object") };
  const { id = null, method, params = {} } = value;
  if (id !== null && (typeof id !== "string" || id.length > MAX_ID)) {
    return { id: null, fault: wrong("id", `id must be a string of at most ${MAX_ID} characters`) };
  }
  if (!isObject(params)) return { id, fault: wrong("params", "params must be an object") };
  const fields = new Fields(params);
  const request = readRequest(String(method), fields);
  if (!request) return { id, fault: wrong("method", "method is unknown") };
  fields.refuseOthers();
  return fields.violations.length > 0
    ? { id, fault: invalidFields(fields.violations) }
    : { id, request };
}

/** The line for an answer. */
export function formatResult(id: string | null, result: unknown): string {
  return `${JSON.stringify({ id, result: result ?? {} })}\n`;
}

/** The line for a refusal; what is not an AppError is not told. */
export function formatError(id: string | null, error: unknown): string {
  const { code, reason, message, violations } = isAppError(error)
    ? error
    : {
        ...{ code: "INTERNAL", message: "internal error", violations: [] },
        reason: ErrorReason.ERROR_REASON_INTERNAL,
      };
  const name = errorReasonToJSON(reason).replace("ERROR_REASON_", "");
  const details = violations.length > 0 ? { violations } : {};
  return `${JSON.stringify({ id, error: { code, reason: name, message, ...details } })}\n`;
}

function readRequest(method: string, fields: Fields): LocalRequest | undefined {
  switch (method) {
    case "spawn-child":
      return {
        method,
        slug: fields.text("slug") ?? fields.missing("slug"),
        argv: fields.argv(),
        env: fields.env(),
        workingDirectory: fields.text("working_directory"),
      };
    case "adopt-child":
      return {
        method,
        slug: fields.text("slug") ?? fields.missing("slug"),
        pid: fields.pid(),
        env: fields.env(),
        workingDirectory: fields.text("working_directory"),
      };
    case "list":
      return { method, includeEnded: fields.flag("include_ended") };
    case "status":
      return { method, path: fields.text("path") };
    case "kill":
      return { method, path: fields.text("path") ?? fields.missing("path") };
    case "get-values":
      return { method, names: fields.names() };
    case "get-settings":
    case "ping":
    case "daemon-status":
      return { method };
    default:
      return undefined;
  }
}

/** Takes typed values out of an object and notes what is wrong with them. */
class Fields {
  readonly violations: FieldViolation[] = [];
  readonly #read = new Set<string>();

  constructor(private readonly params: Record<string, unknown>) {}

  text(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === "string" && value.length <= MAX_TEXT && isPlain(value)) return value;
    return this.#wrong(name, `${name} must be text of at most ${MAX_TEXT} characters`, "");
  }

  flag(name: string): boolean {
    const value = this.#take(name) ?? false;
    return typeof value === "boolean"
      ? value
      : this.#wrong(name, `${name} must be true or false`, false);
  }

  argv(): string[] {
    const value = this.#take("argv");
    const isList = Array.isArray(value) && value.length > 0 && value.length <= MAX_ARGUMENTS;
    if (!isList || !value.every((it): it is string => typeof it === "string" && isPlain(it))) {
      return this.#wrong("argv", `argv must be 1 to ${MAX_ARGUMENTS} texts without NUL`, []);
    }
    const bytes = value.reduce((sum, argument) => sum + Buffer.byteLength(argument) + 1, 0);
    if (bytes <= MAX_COMMAND_BYTES) return value;
    return this.#wrong("argv", `argv exceeds ${MAX_COMMAND_BYTES} bytes`, []);
  }

  pid(): number {
    const value = this.#take("pid");
    const isPid = typeof value === "number" && Number.isInteger(value);
    if (isPid && value > 1 && value <= MAX_PID) return value;
    return this.#wrong("pid", `pid must be a number from 2 to ${MAX_PID}`, 0);
  }

  names(): string[] {
    const value = this.#take("names");
    const isList = Array.isArray(value) && value.length > 0 && value.length <= MAX_ASKED_NAMES;
    if (isList && value.every((it): it is string => typeof it === "string" && NAME.test(it)))
      return value;
    const wanted = `names must be 1 to ${MAX_ASKED_NAMES} names of variables`;
    return this.#wrong("names", wanted, []);
  }

  env(): Map<string, Sensitive<string>> {
    const env = new Map<string, Sensitive<string>>();
    const value = this.#take("env") ?? {};
    if (!isObject(value)) return this.#wrong("env", "env must be an object", env);
    const entries = Object.entries(value);
    if (entries.length > MAX_NAMES) {
      return this.#wrong("env", `env has more than ${MAX_NAMES} names`, env);
    }
    let bytes = 0;
    for (const [name, text] of entries) {
      if (typeof text !== "string" || !isPlain(text)) {
        return this.#wrong("env", "env must hold texts without NUL", env);
      }
      bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 2;
      env.set(name, sensitive(text));
    }
    if (bytes > MAX_ENV_BYTES) return this.#wrong("env", `env exceeds ${MAX_ENV_BYTES} bytes`, env);
    return env;
  }

  missing(name: string): string {
    return this.#wrong(name, `${name} is required`, "");
  }

  refuseOthers(): void {
    const other = Object.keys(this.params).find((name) => !this.#read.has(name));
    if (other !== undefined) this.#wrong("params", "params holds a field that is unknown", "");
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.params, name) ? this.params[name] : undefined;
  }

  #wrong<T>(field: string, description: string, instead: T): T {
    this.violations.push({ field, description });
    return instead;
  }
}

function wrong(field: string, description: string): unknown {
  return invalidFields([{ field, description }]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlain(text: string): boolean {
  return !text.includes("\0") && !/\p{Surrogate}/u.test(text);
}
