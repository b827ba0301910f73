import { readFileSync } from "node:fs";
import { sensitive, type Sensitive } from "./sensitive";

/** Environment variables as a service was started with them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Thrown once with every problem there is, so that an operator mends all of them in one go. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
  }
}

/** Reads typed values by name and collects what is wrong. A missing default means required. */
export interface ConfigReader {
  string(name: string, fallback?: string): string;
  optionalString(name: string): string | undefined;
  int(name: string, range: { min: number; max: number }, fallback?: number): number;
  /** `150ms`, `5s`, `2m`, `1h`. */
  durationMs(name: string, fallback?: number): number;
  boolean(name: string, fallback: boolean): boolean;
  oneOf<T extends string>(name: string, choices: readonly T[], fallback?: T): T;
  /** `host:port`. */
  address(name: string, fallback?: string): string;
  list(name: string, fallback?: readonly string[]): readonly string[];
  /** The content of the file that the variable names, without a trailing newline. */
  secretFile(name: string): Sensitive<string>;
  /** Records a problem that concerns several fields. */
  problem(text: string): void;
}

const PREFIX = "MURMUR_";
const DURATION = /^(\d+)(ms|s|m|h)$/;
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/**
 * Builds a frozen config. `known` lists the variables of every part of the product: one with our
 * prefix that is in no list is a typo and an error; one of another part is ignored.
 */
export function loadConfig<T extends object>(
  env: Environment,
  known: readonly string[],
  build: (read: ConfigReader) => T,
): Readonly<T> {
  const problems: string[] = [];
  for (const name of Object.keys(env)) {
    if (name.startsWith(PREFIX) && !known.includes(name))
      problems.push(`${name} is not a variable of this product`);
  }
  const config = build(createReader(env, known, problems));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

/** How one type of value is read, and what an operator is told that it wants. */
interface ValueKind<T> {
  placeholder: T;
  wants: string;
  toValue: (text: string) => T | undefined;
}

function createReader(
  env: Environment,
  known: readonly string[],
  problems: string[],
): ConfigReader {
  const raw = (name: string): string | undefined => {
    if (!known.includes(name))
      throw new Error(`${name} is missing from the list of known variables`);
    return env[name] === "" ? undefined : env[name];
  };
  const parse = <T>(name: string, fallback: T | undefined, kind: ValueKind<T>): T => {
    const { placeholder, toValue, wants } = kind;
    const text = raw(name);
    if (text === undefined) {
      if (fallback === undefined) problems.push(`${name} is required (${wants})`);
      return fallback ?? placeholder;
    }
    const value = toValue(text);
    if (value === undefined) problems.push(`${name} must be ${wants}, not "${text}"`);
    return value ?? placeholder;
  };
  return {
    string: (name, fallback) =>
      parse(name, fallback, { placeholder: "", wants: "a text", toValue: (text) => text }),
    optionalString: raw,
    int: (name, { min, max }, fallback) =>
      parse(name, fallback, {
        placeholder: min,
        wants: `a whole number from ${min} to ${max}`,
        toValue: (text) => parseInteger(text, min, max),
      }),
    durationMs: (name, fallback) =>
      parse(name, fallback, {
        placeholder: 0,
        wants: "a duration such as 150ms, 5s, 2m or 1h",
        toValue: parseDurationMs,
      }),
    boolean: (name, fallback) =>
      parse(name, fallback, {
        placeholder: fallback,
        wants: "true or false",
        toValue: (text) => ({ true: true, false: false })[text],
      }),
    oneOf: <T extends string>(name: string, choices: readonly T[], fallback?: T) =>
      parse<T>(name, fallback, {
        placeholder: choices[0] as T,
        wants: `one of ${choices.join(", ")}`,
        toValue: (text) => choices.find((choice) => choice === text),
      }),
    address: (name, fallback) =>
      parse(name, fallback, { placeholder: "", wants: "host:port", toValue: parseAddress }),
    list: (name, fallback) =>
      parse<readonly string[]>(name, fallback, {
        placeholder: [],
        wants: "a comma-separated list",
        toValue: parseList,
      }),
    secretFile: (name) =>
      parse(name, undefined, {
        placeholder: sensitive(""),
        wants: "the path of a file",
        toValue: (path) => readSecretFile(name, path, problems),
      }),
    problem: (text) => {
      problems.push(text);
    },
  };
}

function parseList(text: string): readonly string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
}

function parseInteger(text: string, min: number, max: number): number | undefined {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
}

function parseAddress(text: string): string | undefined {
  const port = Number(/^(?:\[[0-9a-f:]+\]|[^\s:/]+):(\d{1,5})$/i.exec(text)?.[1] ?? Number.NaN);
  return port >= 0 && port <= 65_535 ? text : undefined;
}

function readSecretFile(name: string, path: string, problems: string[]): Sensitive<string> {
  try {
    return sensitive(readFileSync(path, "utf8").replace(/\n$/, ""));
  } catch (error) {
    problems.push(
      `${name}: cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? "unknown"})`,
    );
    return sensitive("");
  }
}
