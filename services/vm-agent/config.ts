import { readFileSync } from "node:fs";
import { CONFIG_VARIABLES } from "../../lib/config-variables";
import { loadConfig, type ConfigReader, type Environment } from "../../lib/config";
import type { ClientTls } from "../../lib/grpc/tls";
import type { LogLevel } from "../../lib/log";
import type { AgentUser } from "./processes/agent";

export interface VmAgentConfig {
  catalogAddress: string;
  rotationAddress: string;
  /** CA that signed the services' certificates; absent: connections are not encrypted. */
  tls: ClientTls | undefined;
  /** Holds env files and the socket; a tmpfs in production. */
  runDir: string;
  /** Holds the identity key and the agents' records; survives a reboot, no secret of a tenant. */
  stateDir: string;
  /** Read once, at the first start. */
  joinTokenFile: string | undefined;
  wakeUps: "stream" | "kafka";
  kafka: { brokers: readonly string[]; topic: string };
  /** User that agents run as; only root can choose one. Absent: the daemon's own. */
  agentUser: AgentUser | undefined;
  /** Let agents of several developers run under one user, who is then no boundary between them. */
  allowSharedUser: boolean;
  /** How often everything is asked for and every file is compared, wake-up or not. */
  reconcileEveryMs: number;
  logLevel: LogLevel;
  otlpEndpoint: string | undefined;
  shutdownGraceMs: number;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The daemon's configuration; throws one ConfigError that lists everything that is wrong. */
export function loadVmAgentConfig(env: Environment): Readonly<VmAgentConfig> {
  return loadConfig(env, CONFIG_VARIABLES, (read) => {
    const wakeUps = read.oneOf("MURMUR_WAKE_UPS", ["stream", "kafka"], "stream");
    const brokers = read.list("MURMUR_KAFKA_BROKERS", []);
    if (wakeUps === "kafka" && brokers.length === 0) {
      read.problem("MURMUR_KAFKA_BROKERS is required when MURMUR_WAKE_UPS is kafka");
    }
    const caFile = read.optionalString("MURMUR_TLS_CA_FILE");
    return {
      catalogAddress: read.address("MURMUR_CATALOG_ADDRESS"),
      rotationAddress: read.address("MURMUR_ROTATION_ADDRESS"),
      tls: caFile === undefined ? undefined : { caFile },
      runDir: read.string("MURMUR_RUN_DIR", "/run/murmur"),
      stateDir: read.string("MURMUR_STATE_DIR", "/var/lib/murmur"),
      joinTokenFile: read.optionalString("MURMUR_JOIN_TOKEN_FILE"),
      wakeUps,
      kafka: { brokers, topic: read.string("MURMUR_KAFKA_TOPIC", "murmur.credentials-rotated.v1") },
      agentUser: readUser(read),
      allowSharedUser: read.boolean("MURMUR_ALLOW_SHARED_USER", false),
      reconcileEveryMs: read.durationMs("MURMUR_RECONCILE_EVERY", 30_000),
      logLevel: read.oneOf("MURMUR_LOG_LEVEL", LOG_LEVELS, "info"),
      otlpEndpoint: read.optionalString("MURMUR_OTLP_ENDPOINT"),
      shutdownGraceMs: read.durationMs("MURMUR_SHUTDOWN_GRACE", 10_000),
    };
  });
}

function readUser(read: ConfigReader): AgentUser | undefined {
  const name = read.optionalString("MURMUR_AGENT_USER");
  if (name === undefined) return undefined;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) {
    read.problem(`MURMUR_AGENT_USER: there is no user "${name}"`);
    return undefined;
  }
  return { uid: Number(uid), gid: Number(gid) };
}
