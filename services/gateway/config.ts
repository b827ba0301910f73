import { isIP } from "node:net";
import { CONFIG_VARIABLES } from "../../lib/config-variables";
import { type ConfigReader, type Environment, loadConfig } from "../../lib/config";
import type { ClientTls } from "../../lib/grpc/tls";
import type { LogLevel } from "../../lib/log";
import type { Sensitive } from "../../lib/sensitive";

export interface GatewayConfig {
  listen: string;
  /** Files of the certificate; absent: plain HTTP, for a proxy in front that ends TLS. */
  tls: { certFile: string; keyFile: string } | undefined;
  /** Private JWK with which this service vouches for its clients. */
  signingKey: Sensitive<string>;
  catalogAddress: string;
  rotationAddress: string;
  /** With which both are verified; absent: they speak without TLS. */
  upstreamTls: ClientTls | undefined;
  /** Addresses and networks whose `X-Forwarded-For` counts. */
  trustedProxies: readonly string[];
  /** Requests of one client in 10 s, at this replica. */
  rateLimit: number;
  logLevel: LogLevel;
  /** A collector (OTLP over HTTP); absent: nothing is exported. */
  otlpEndpoint: string | undefined;
  shutdownGraceMs: number;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The gateway's configuration; throws one ConfigError that lists everything that is wrong. */
export function loadGatewayConfig(env: Environment): Readonly<GatewayConfig> {
  return loadConfig(env, CONFIG_VARIABLES, (read) => ({
    listen: read.address("MURMUR_GATEWAY_LISTEN", "127.0.0.1:7300"),
    tls: readTls(read),
    signingKey: read.secretFile("MURMUR_GATEWAY_SIGNING_KEY_FILE"),
    catalogAddress: read.address("MURMUR_CATALOG_ADDRESS", "127.0.0.1:7301"),
    rotationAddress: read.address("MURMUR_ROTATION_ADDRESS", "127.0.0.1:7302"),
    upstreamTls: readUpstreamTls(read),
    trustedProxies: readProxies(read),
    rateLimit: read.int("MURMUR_GATEWAY_RATE_LIMIT", { min: 1, max: 10_000_000 }, 3_000),
    logLevel: read.oneOf("MURMUR_LOG_LEVEL", LOG_LEVELS, "info"),
    otlpEndpoint: read.optionalString("MURMUR_OTLP_ENDPOINT"),
    shutdownGraceMs: read.durationMs("MURMUR_SHUTDOWN_GRACE", 10_000),
  }));
}

function readTls(read: ConfigReader): GatewayConfig["tls"] {
  const certFile = read.optionalString("MURMUR_GATEWAY_TLS_CERT_FILE");
  const keyFile = read.optionalString("MURMUR_GATEWAY_TLS_KEY_FILE");
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile !== undefined || keyFile !== undefined)
    read.problem("MURMUR_GATEWAY_TLS_CERT_FILE and MURMUR_GATEWAY_TLS_KEY_FILE go together");
  return undefined;
}

function readUpstreamTls(read: ConfigReader): ClientTls | undefined {
  const caFile = read.optionalString("MURMUR_TLS_CA_FILE");
  return caFile === undefined ? undefined : { caFile };
}

function readProxies(read: ConfigReader): readonly string[] {
  const name = "MURMUR_GATEWAY_TRUSTED_PROXIES";
  const proxies = read.list(name, []);
  for (const proxy of proxies) {
    if (!isNetwork(proxy)) read.problem(`${name} lists "${proxy}", which is no address or network`);
  }
  return proxies;
}

function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  );
}
