import { CONFIG_VARIABLES } from "../../lib/config-variables";
import { loadConfig, type ConfigReader, type Environment } from "../../lib/config";
import type { ClientTls, ServerTls } from "../../lib/grpc/tls";
import type { LogLevel } from "../../lib/log";
import type { Sensitive } from "../../lib/sensitive";
import { DEFAULT_QUIET_MS } from "./credentials/evidence/evidence";
import type { SignInSettings } from "./sign-in/exchange-token";
import { readSignIn } from "./sign-in/sign-in-config";

export interface RotationConfig {
  listen: string;
  databaseUrl: Sensitive<string>;
  /** Private JWK with which this service signs developers' and its own tokens. */
  signingKey: Sensitive<string>;
  /** The signing key before it, for records of agents that were spawned under it; absent: none. */
  earlierSigningKey: Sensitive<string> | undefined;
  keySetFile: string;
  tls: ServerTls | undefined;
  catalogAddress: string;
  /** With which the catalog is verified; absent: the catalog speaks without TLS. */
  catalogTls: ClientTls | undefined;
  /** Whose agents are those that anyone may register; absent: nobody may without an invitation. */
  openRegistration: { tenantId: string; developer: string } | undefined;
  /** For how long nobody may have used an old value before it is ended on evidence. */
  quietMs: number;
  /** Absent: VMs are woken over their streams only. */
  kafka: { brokers: readonly string[]; topic: string } | undefined;
  /** Absent: nobody signs in with an identity provider. */
  signIn: SignInSettings | undefined;
  logLevel: LogLevel;
  /** A collector (OTLP over HTTP); absent: nothing is exported. */
  otlpEndpoint: string | undefined;
  shutdownGraceMs: number;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The topic of CredentialsRotated (docs/events.md). */
const DEFAULT_TOPIC = "murmur.credentials-rotated.v1";

/** Rotation's configuration; throws one ConfigError that lists everything that is wrong. */
export function loadRotationConfig(env: Environment): Readonly<RotationConfig> {
  return loadConfig(env, CONFIG_VARIABLES, (read) => ({
    listen: read.address("MURMUR_ROTATION_LISTEN", "127.0.0.1:7302"),
    databaseUrl: read.secretFile("MURMUR_ROTATION_DATABASE_URL_FILE"),
    signingKey: read.secretFile("MURMUR_ROTATION_SIGNING_KEY_FILE"),
    earlierSigningKey: readEarlierKey(read),
    keySetFile: read.string("MURMUR_KEY_SET_FILE"),
    tls: readTls(read),
    catalogAddress: read.address("MURMUR_CATALOG_ADDRESS", "127.0.0.1:7301"),
    catalogTls: readCatalogTls(read),
    openRegistration: readOpenRegistration(read),
    quietMs: readQuietTime(read),
    kafka: readKafka(read),
    signIn: readSignIn(read),
    logLevel: read.oneOf("MURMUR_LOG_LEVEL", LOG_LEVELS, "info"),
    otlpEndpoint: read.optionalString("MURMUR_OTLP_ENDPOINT"),
    shutdownGraceMs: read.durationMs("MURMUR_SHUTDOWN_GRACE", 10_000),
  }));
}

function readOpenRegistration(read: ConfigReader): RotationConfig["openRegistration"] {
  const name = "MURMUR_ROTATION_OPEN_REGISTRATION";
  const text = read.optionalString(name);
  if (text === undefined) return undefined;
  const [, tenantId, developer] = /^([^\s:]+):([^\s/]+\/\S+)$/.exec(text) ?? [];
  if (tenantId !== undefined && developer !== undefined) return { tenantId, developer };
  read.problem(`${name} must be a tenant and a developer, such as acme:github/alice`);
  return undefined;
}

/** Services that remember a valid value for a second do not tell of its uses meanwhile. */
const MIN_QUIET_MS = 2_000;

function readQuietTime(read: ConfigReader): number {
  const name = "MURMUR_ROTATION_QUIET_TIME";
  const quietMs = read.durationMs(name, DEFAULT_QUIET_MS);
  if (quietMs < MIN_QUIET_MS) read.problem(`${name} must be at least ${MIN_QUIET_MS / 1_000}s`);
  return quietMs;
}

function readEarlierKey(read: ConfigReader): Sensitive<string> | undefined {
  const name = "MURMUR_ROTATION_EARLIER_SIGNING_KEY_FILE";
  return read.optionalString(name) === undefined ? undefined : read.secretFile(name);
}

function readTls(read: ConfigReader): ServerTls | undefined {
  const certFile = read.optionalString("MURMUR_ROTATION_TLS_CERT_FILE");
  const keyFile = read.optionalString("MURMUR_ROTATION_TLS_KEY_FILE");
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile !== undefined || keyFile !== undefined)
    read.problem("MURMUR_ROTATION_TLS_CERT_FILE and MURMUR_ROTATION_TLS_KEY_FILE go together");
  return undefined;
}

function readCatalogTls(read: ConfigReader): ClientTls | undefined {
  const caFile = read.optionalString("MURMUR_TLS_CA_FILE");
  return caFile === undefined ? undefined : { caFile };
}

function readKafka(read: ConfigReader): RotationConfig["kafka"] {
  const brokers = read.list("MURMUR_KAFKA_BROKERS", []);
  const topic = read.string("MURMUR_KAFKA_TOPIC", DEFAULT_TOPIC);
  return brokers.length === 0 ? undefined : { brokers, topic };
}
