import { execFile } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Part, spawnPart } from "../parts/part";
import { isAnswering, isServing } from "./health";
import type { Identities } from "./identities";
import { writePrivate } from "./private-file";

/** Where everything of one stack is. */
export interface Place {
  /** The clone. */
  root: string;
  dataDir: string;
  /** In memory: env files and sockets of the VM daemons. */
  runDir: string;
  logDir: string;
  configFile: string;
  catalog: string;
  rotation: string;
  gateway: string;
  postgresUrl: string;
  kafkaBrokers?: string;
  vault?: { address: string; tokenFile: string };
  /** More variables for every service. */
  settings: Readonly<Record<string, string>>;
}

export interface VmPlace {
  name: string;
  runDir: string;
  stateDir: string;
  joinTokenFile: string;
}

const SERVICES = ["catalog", "rotation"] as const;

/** Brings the schema of every service to its newest migration. */
export async function updateSchemas(place: Place): Promise<void> {
  const file = databaseUrlFile(place);
  const env = {
    ...baseEnv(),
    MURMUR_CATALOG_DATABASE_URL_FILE: file,
    MURMUR_ROTATION_DATABASE_URL_FILE: file,
  };
  await Promise.all(
    SERVICES.map((service) =>
      promisify(execFile)(process.execPath, [bundle(place, "migrate"), service], { env }),
    ),
  );
}

export function startCatalog(place: Place, identities: Identities): Promise<Part> {
  const keys = place.vault
    ? {
        MURMUR_KEY_PROVIDER: "vault-transit",
        MURMUR_VAULT_ADDRESS: place.vault.address,
        MURMUR_VAULT_TOKEN_FILE: place.vault.tokenFile,
      }
    : { MURMUR_KEY_PROVIDER: "local", MURMUR_LOCAL_KEYRING_FILE: identities.keyringFile };
  const env = {
    MURMUR_CATALOG_LISTEN: place.catalog,
    MURMUR_CATALOG_DATABASE_URL_FILE: databaseUrlFile(place),
    MURMUR_CATALOG_SIGNING_KEY_FILE: identities.catalogKeyFile,
    MURMUR_ROTATION_ADDRESS: place.rotation,
    MURMUR_KEY_SET_FILE: identities.keySetFile,
    ...keys,
  };
  return startService(place, "catalog", { env, isReady: () => isServing(place.catalog) });
}

export function startRotation(place: Place, identities: Identities): Promise<Part> {
  const env = {
    MURMUR_ROTATION_LISTEN: place.rotation,
    MURMUR_ROTATION_DATABASE_URL_FILE: databaseUrlFile(place),
    MURMUR_ROTATION_SIGNING_KEY_FILE: identities.rotationKeyFile,
    MURMUR_KEY_SET_FILE: identities.keySetFile,
    MURMUR_CATALOG_ADDRESS: place.catalog,
    ...(place.kafkaBrokers && { MURMUR_KAFKA_BROKERS: place.kafkaBrokers }),
  };
  return startService(place, "rotation", { env, isReady: () => isServing(place.rotation) });
}

export function startGateway(place: Place, identities: Identities): Promise<Part> {
  const env = {
    MURMUR_GATEWAY_LISTEN: place.gateway,
    MURMUR_GATEWAY_SIGNING_KEY_FILE: identities.gatewayKeyFile,
    MURMUR_CATALOG_ADDRESS: place.catalog,
    MURMUR_ROTATION_ADDRESS: place.rotation,
  };
  return startService(place, "gateway", { env, isReady: () => isAnswering(place.gateway) });
}

export function startVmAgent(place: Place, vm: VmPlace): Promise<Part> {
  const socket = join(vm.runDir, "agent.sock");
  return spawnPart({
    name: vm.name,
    // Without source maps: Node reads them at the start, which doubles the memory on every VM.
    command: [process.execPath, bundle(place, "vm-agent")],
    cwd: place.root,
    logFile: join(place.logDir, `${vm.name}.log`),
    env: {
      ...baseEnv(),
      MURMUR_CATALOG_ADDRESS: place.catalog,
      MURMUR_ROTATION_ADDRESS: place.rotation,
      MURMUR_RUN_DIR: vm.runDir,
      MURMUR_STATE_DIR: vm.stateDir,
      MURMUR_JOIN_TOKEN_FILE: vm.joinTokenFile,
      MURMUR_WAKE_UPS: place.kafkaBrokers ? "kafka" : "stream",
      ...(place.kafkaBrokers && { MURMUR_KAFKA_BROKERS: place.kafkaBrokers }),
      ...place.settings,
    },
    // The file alone says nothing: a daemon that was killed has left it.
    isReady: () => isListening(socket),
  });
}

function startService(
  place: Place,
  name: string,
  { env, isReady }: { env: Record<string, string>; isReady: () => Promise<boolean> },
): Promise<Part> {
  return spawnPart({
    name,
    command: [process.execPath, "--enable-source-maps", bundle(place, name)],
    cwd: place.root,
    logFile: join(place.logDir, `${name}.log`),
    env: { ...baseEnv(), ...env, ...place.settings },
    isReady,
  });
}

function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function bundle(place: Place, name: string): string {
  return join(place.root, "dist", `${name}.js`);
}

function databaseUrlFile(place: Place): string {
  return writePrivate(join(place.dataDir, "keys", "database-url"), place.postgresUrl);
}

/** What every process needs, and nothing of the caller's secrets. */
function baseEnv(): Record<string, string> {
  const names = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM"];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
