import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { isEnvName, type Omission, type FormName } from "./env-set";
import { EnvSetError } from "./env-set-error";

/** A form read back. Values are the exact bytes that were rendered. */
export interface ParsedEnvironment {
  variables: ReadonlyMap<string, Sensitive<Buffer>>;
  /** Names to unset; only `env.sh` and `env.json` know them. */
  unset: readonly string[];
}

/** `env.json` read back: the one form that is complete. */
export interface ParsedEnvJson extends ParsedEnvironment {
  generation: bigint;
  omitted: readonly Omission[];
}

const NEWLINE = 0x0a;
const QUOTE = 0x27;
const EQUALS = 0x3d;
const ESCAPED_QUOTE = Buffer.from("'\\''");

/** Reads our `env`; throws EnvSetError `damaged` for anything that `render` does not write. */
export function parseEnv(bytes: Uint8Array): ParsedEnvironment {
  const variables = new Map<string, Sensitive<Buffer>>();
  const reader = new LineReader(bytes, "env");
  while (reader.hasMore()) {
    if (reader.skipComment()) continue;
    const name = reader.name();
    const value = reader.isAtQuote() ? reader.quoted(false) : reader.restOfLine();
    variables.set(name, sensitive(value));
  }
  return { variables, unset: [] };
}

/** Reads our `env.sh`; throws EnvSetError `damaged` for anything that `render` does not write. */
export function parseEnvSh(bytes: Uint8Array): ParsedEnvironment {
  const variables = new Map<string, Sensitive<Buffer>>();
  const unset: string[] = [];
  const reader = new LineReader(bytes, "env.sh");
  while (reader.hasMore()) {
    if (reader.skipComment()) continue;
    if (reader.skipWord("unset ")) unset.push(reader.restOfLine().toString("utf8"));
    else if (reader.skipWord("export ")) {
      variables.set(reader.name(), sensitive(reader.quoted(true)));
    } else throw reader.damaged();
  }
  if (!unset.every(isEnvName)) throw reader.damaged();
  return { variables, unset };
}

/** Reads our `env.docker`; throws EnvSetError `damaged` for what `render` does not write. */
export function parseEnvDocker(bytes: Uint8Array): ParsedEnvironment {
  const variables = new Map<string, Sensitive<Buffer>>();
  const reader = new LineReader(bytes, "env.docker");
  while (reader.hasMore()) {
    if (reader.skipComment()) continue;
    variables.set(reader.name(), sensitive(reader.restOfLine()));
  }
  return { variables, unset: [] };
}

/** Reads our `env.json`; throws EnvSetError `damaged` for anything that `render` does not write. */
export function parseEnvJson(bytes: Uint8Array): ParsedEnvJson {
  const { _generation, _unset, _omitted, ...values } = parseObject(bytes);
  const isWhole =
    typeof _generation === "string" &&
    /^\d+$/.test(_generation) &&
    Array.isArray(_unset) &&
    _unset.every((name) => typeof name === "string") &&
    isOmitted(_omitted);
  if (!isWhole) throw damagedJson();
  const variables = new Map<string, Sensitive<Buffer>>();
  for (const [name, value] of Object.entries(values)) {
    if (!isEnvName(name) || typeof value !== "string") throw damagedJson();
    variables.set(name, sensitive(Buffer.from(value, "utf8")));
  }
  const omitted = Object.entries(_omitted).flatMap(([form, reasons]) =>
    Object.entries(reasons).map(([name, reason]) => ({ form: form as FormName, name, reason })),
  );
  return { variables, unset: _unset, generation: BigInt(_generation), omitted };
}

/** Reads our `generation` file. */
export function parseGeneration(bytes: Uint8Array): bigint {
  const digits = /^(\d+)\n$/.exec(Buffer.from(bytes).toString("latin1"))?.[1];
  if (digits === undefined) throw new EnvSetError("damaged", "generation: not a number");
  return BigInt(digits);
}

/** Walks the line-based forms by bytes; a value never becomes a string. */
class LineReader {
  readonly #bytes: Buffer;
  readonly #form: string;
  #at = 0;

  constructor(bytes: Uint8Array, form: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#form = form;
  }

  hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  skipComment(): boolean {
    if (this.#bytes[this.#at] !== 0x23) return false;
    this.restOfLine();
    return true;
  }

  skipWord(word: string): boolean {
    const end = this.#at + word.length;
    if (this.#bytes.toString("latin1", this.#at, end) !== word) return false;
    this.#at = end;
    return true;
  }

  isAtQuote(): boolean {
    return this.#bytes[this.#at] === QUOTE;
  }

  /** The name and its `=`. */
  name(): string {
    const end = this.#bytes.indexOf(EQUALS, this.#at);
    const name = end < 0 ? "" : this.#bytes.toString("latin1", this.#at, end);
    if (!isEnvName(name)) throw this.damaged();
    this.#at = end + 1;
    return name;
  }

  restOfLine(): Buffer {
    const end = this.#bytes.indexOf(NEWLINE, this.#at);
    if (end < 0) throw this.damaged();
    const line = Buffer.from(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return line;
  }

  /** A value in single quotes and the newline after it. */
  quoted(mayHoldQuotes: boolean): Buffer {
    if (!this.isAtQuote()) throw this.damaged();
    const parts: Buffer[] = [];
    for (let start = this.#at + 1; ;) {
      const end = this.#bytes.indexOf(QUOTE, start);
      if (end < 0) throw this.damaged();
      parts.push(this.#bytes.subarray(start, end));
      if (this.#bytes[end + 1] === NEWLINE) {
        this.#at = end + 2;
        return Buffer.concat(parts);
      }
      const isEscape = this.#bytes.subarray(end, end + ESCAPED_QUOTE.length).equals(ESCAPED_QUOTE);
      if (!mayHoldQuotes || !isEscape) throw this.damaged();
      parts.push(Buffer.from("'"));
      start = end + ESCAPED_QUOTE.length;
    }
  }

  damaged(): EnvSetError {
    return new EnvSetError("damaged", `${this.#form}: not as written, at byte ${this.#at}`);
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    // The parser's own message quotes the text, which holds values: it must not be a cause.
    throw damagedJson();
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw damagedJson();
  return parsed as Record<string, unknown>;
}

function isOmitted(value: unknown): value is Record<string, Record<string, string>> {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every((names) => typeof names === "object" && names !== null);
}

function damagedJson(): EnvSetError {
  return new EnvSetError("damaged", "env.json: not as written");
}
