import { CONFIG_VARIABLES } from "../../lib/config-variables";
import { loadConfig, type ConfigReader, type Environment } from "../../lib/config";
import type { ClientTls, ServerTls } from "../../lib/grpc/tls";
import type { LogLevel } from "../../lib/log";
import type { Sensitive } from "../../lib/sensitive";

/** Where the key-encryption key is. */
export type KeyProviderConfig =
  | { kind: "local"; keyringFile: string }
  | { kind: "vault-transit"; address: string; tokenFile: string; transitKey: string };

export interface CatalogConfig {
  listen: string;
  databaseUrl: Sensitive<string>;
  /** Private JWK with which this service signs VM tokens and delivery sessions. */
  signingKey: Sensitive<string>;
  keySetFile: string;
  tls: ServerTls | undefined;
  /** Who verifies API keys; absent: they are refused. */
  rotationAddress: string | undefined;
  rotationTls: ClientTls | undefined;
  keyProvider: KeyProviderConfig;
  /** How long an unwrapped data key is remembered: for so long an absent Vault is not felt. */
  dataKeyCacheMs: number;
  logLevel: LogLevel;
  /** A collector (OTLP over HTTP); absent: nothing is exported. */
  otlpEndpoint: string | undefined;
  shutdownGraceMs: number;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The catalog's configuration; throws one ConfigError that lists everything that is wrong. */
export function loadCatalogConfig(env: Environment): Readonly<CatalogConfig> {
  return loadConfig(env, CONFIG_VARIABLES, (read) => ({
    listen: read.address("MURMUR_CATALOG_LISTEN", "127.0.0.1:7301"),
    databaseUrl: read.secretFile("MURMUR_CATALOG_DATABASE_URL_FILE"),
    signingKey: read.secretFile("MURMUR_CATALOG_SIGNING_KEY_FILE"),
    keySetFile: read.string("MURMUR_KEY_SET_FILE"),
    tls: readTls(read),
    rotationAddress: readRotationAddress(read),
    rotationTls: readRotationTls(read),
    keyProvider: readKeyProvider(read),
    dataKeyCacheMs: read.durationMs("MURMUR_DATA_KEY_CACHE", 10 * 60_000),
    logLevel: read.oneOf("MURMUR_LOG_LEVEL", LOG_LEVELS, "info"),
    otlpEndpoint: read.optionalString("MURMUR_OTLP_ENDPOINT"),
    shutdownGraceMs: read.durationMs("MURMUR_SHUTDOWN_GRACE", 10_000),
  }));
}

function readTls(read: ConfigReader): ServerTls | undefined {
  const certFile = read.optionalString("MURMUR_CATALOG_TLS_CERT_FILE");
  const keyFile = read.optionalString("MURMUR_CATALOG_TLS_KEY_FILE");
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile !== undefined || keyFile !== undefined)
    read.problem("MURMUR_CATALOG_TLS_CERT_FILE and MURMUR_CATALOG_TLS_KEY_FILE go together");
  return undefined;
}

function readRotationAddress(read: ConfigReader): string | undefined {
  const name = "MURMUR_ROTATION_ADDRESS";
  return read.optionalString(name) === undefined ? undefined : read.address(name);
}

function readRotationTls(read: ConfigReader): ClientTls | undefined {
  const caFile = read.optionalString("MURMUR_TLS_CA_FILE");
  return caFile === undefined ? undefined : { caFile };
}

function readKeyProvider(read: ConfigReader): KeyProviderConfig {
  const kind = read.oneOf("MURMUR_KEY_PROVIDER", ["local", "vault-transit"], "local");
  if (kind === "local") return { kind, keyringFile: read.string("MURMUR_LOCAL_KEYRING_FILE") };
  return {
    kind,
    address: readUrl(read, "MURMUR_VAULT_ADDRESS"),
    tokenFile: read.string("MURMUR_VAULT_TOKEN_FILE"),
    transitKey: read.string("MURMUR_VAULT_TRANSIT_KEY", "murmur"),
  };
}

function readUrl(read: ConfigReader, name: string): string {
  const text = read.string(name);
  if (text !== "" && !/^https?:\/\/[^/]/.test(text))
    read.problem(`${name} must be a URL such as https://vault:8200, not "${text}"`);
  return text;
}
