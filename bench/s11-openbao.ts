import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SecretDelivery, SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { AgentServiceService } from "../gen/murmur/rotation/v1/agents";
import { RolloutServiceService } from "../gen/murmur/rotation/v1/rollouts";
import { downloadOpenBao, startOpenBao } from "../dev/parts/openbao";
import { spawnPart, type Part } from "../dev/parts/part";
import { stackFileOf, type StackFile } from "../dev/stack/stack-file";
import { type Stack, startStack, WORKSPACE } from "../dev/stack/stack";
import { createClient, openChannel } from "../lib/grpc/client";
import { bearerCredentials } from "../lib/identity/credentials";
import { sensitive } from "../lib/sensitive";
import type { BenchOptions } from "./benches";
import { type Figure, percentile, toFigure } from "./harness";

const WRITES = 20;
/** As in S1: what is measured is a service that runs, not how the first calls find it. */
const WARM_UP = 60;
/** A VM takes at most 20 swaps a second of one agent. */
const PACE_MS = 55;
const PATIENCE_MS = 30_000;
/** The shortest that its agent takes. */
const RENDER_INTERVAL = "100ms";

/** Gives a secret a new value and resolves when the file on the VM shows it. */
interface Delivery {
  write(value: string): Promise<void>;
  /** Of its daemon, KiB. */
  residentKiB(): number;
  stop(): Promise<void>;
}

/** S11: new value written and rekeyed → file on the VM changed, beside OpenBao and its agent. */
export async function benchS11({ runs, say }: BenchOptions): Promise<Figure[]> {
  const options = { withVault: false, withKafka: false, dataDir: undefined, fresh: false };
  const stack = await startStack({ ...options, firstPort: 0, vms: 1, json: false }, say);
  const deliveries: Delivery[] = [];
  try {
    const product = await startProduct(stack);
    deliveries.push(product);
    const openBao = await startPeer();
    deliveries.push(openBao);
    for (let at = 0; at < WARM_UP; at++) {
      await product.write(`warm-up-${at}`);
      await delay(PACE_MS);
    }
    const medians = [];
    for (let run = 0; run < runs; run++) {
      const [ours, peers]: [number[], number[]] = [[], []];
      for (let at = 0; at < WRITES; at++) {
        // At any moment of the peer's interval.
        await delay(Math.random() * 500);
        ours.push(await timeOf(() => product.write(`ours-${run}-${at}`)));
        peers.push(await timeOf(() => openBao.write(`peers-${run}-${at}`)));
      }
      const median = { ours: percentile(ours, 0.5), yardstick: percentile(peers, 0.5) };
      medians.push({ ...median, ratio: median.yardstick / median.ours });
      say(`  OpenBao: run ${run + 1} of ${runs}`);
    }
    const memory = {
      ours: product.residentKiB() / 1024,
      yardstick: openBao.residentKiB() / 1024,
    };
    const notes = [`its agent renders every ${RENDER_INTERVAL}; ratio: how many times faster`];
    const name = "new value written → file on the VM changed, p50";
    return [
      toFigure({ id: "S11", name, unit: "ms", mark: { atLeast: 100 }, notes }, medians),
      toFigure({ id: "S11", name: "memory of the VM's daemon", unit: "MiB", mark: { atMost: 1 } }, [
        memory,
      ]),
    ];
  } finally {
    for (const delivery of deliveries.reverse()) await delivery.stop();
    await stack.stop();
  }
}

async function startProduct(stack: Stack): Promise<Delivery> {
  const { place, identities, vms } = stack;
  const credentials = bearerCredentials(sensitive(await identities.issueToken()));
  const catalog = openChannel({ address: place.catalog, credentials });
  const rotation = openChannel({ address: place.rotation, credentials });
  const secrets = createClient(SecretServiceService, catalog);
  const rollouts = createClient(RolloutServiceService, rotation);
  const set = (value: string) =>
    secrets.setSecret({
      ...{ name: "BENCH_SECRET", plaintextValue: Buffer.from(value), createdAt: undefined },
      ...{ delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT, requestId: "" },
    });
  await set("first");
  const agentId = randomUUID();
  await createClient(AgentServiceService, rotation).spawnAgent({
    ...{ agentId, workspace: WORKSPACE, slug: "bench", vm: "", parentAgentId: "" },
    ...{ command: ["sleep", "infinity"], workingDirectory: "/" },
    expectsSpawnSecrets: false,
  });
  const directory = join(vms[0]?.runDir ?? "", "agents", agentId);
  const file = join(directory, "env");
  await shows(file, "first");
  return {
    async write(value) {
      const seen = changed(directory, file, value);
      await set(value);
      const request = { workspace: WORKSPACE, path: "bench", reason: "" };
      await Promise.all([rollouts.rekeyAgent({ ...request, requestId: randomUUID() }), seen]);
    },
    residentKiB() {
      const { pids } = JSON.parse(readFileSync(stackFileOf(place.dataDir), "utf8")) as StackFile;
      return residentKiB(pids["vm-agent-1"] ?? 0);
    },
    stop() {
      catalog.close();
      rotation.close();
      return Promise.resolve();
    },
  };
}

async function startPeer(): Promise<Delivery> {
  const server = await startOpenBao();
  const directory = mkdtempSync(join(tmpdir(), "murmur-bench-openbao-"));
  const files = mkdtempSync("/dev/shm/murmur-bench-openbao-");
  const call = async (path: string, body: object) => {
    const { ok, status } = await fetch(`${server.address}/v1/${path}`, {
      ...{ method: "POST", body: JSON.stringify(body) },
      headers: { "X-Vault-Token": server.token },
    });
    if (!ok) throw new Error(`OpenBao ${path}: ${status}`);
  };
  await call("sys/mounts/kv", { type: "kv", options: { version: "2" } });
  const write = (value: string) => call("kv/data/bench", { data: { value } });
  await untilDone(() => write("first"));
  const file = join(files, "env");
  const agent = await startPeersAgent(server, directory, file);
  return {
    async write(value) {
      const seen = changed(files, file, value);
      await write(value);
      await seen;
    },
    residentKiB: () => residentKiB(agent.pid),
    async stop() {
      await agent.stop();
      await server.stop();
      for (const made of [directory, files]) rmSync(made, { recursive: true, force: true });
    },
  };
}

async function startPeersAgent(
  { address, token }: { address: string; token: string },
  directory: string,
  file: string,
): Promise<Part> {
  const tokenFile = join(directory, "token");
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const config = join(directory, "agent.hcl");
  writeFileSync(
    config,
    `vault { address = "${address}" }
auto_auth {
  method "token_file" { config = { token_file_path = "${tokenFile}" } }
}
template_config { static_secret_render_interval = "${RENDER_INTERVAL}" }
template {
  destination = "${file}"
  contents = "{{ with secret \\"kv/data/bench\\" }}BENCH_SECRET={{ .Data.data.value }}{{ end }}\\n"
}
`,
  );
  const part = await spawnPart({
    name: "the OpenBao agent",
    command: [await downloadOpenBao(), "agent", `-config=${config}`],
    logFile: join(directory, "agent.log"),
    deathSignal: "SIGKILL",
    isReady: () => has(file, "first"),
  });
  return part;
}

function has(file: string, value: string): boolean {
  try {
    return new RegExp(`BENCH_SECRET='?${value}'?$`, "m").test(readFileSync(file, "utf8"));
  } catch {
    return false; // Not there yet.
  }
}

/** Resolves when the file shows the value; the watch is in place when this returns. */
function changed(directory: string, file: string, value: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      watcher.close();
      clearTimeout(timer);
    };
    const watcher = watch(directory, () => {
      if (!has(file, value)) return;
      finish();
      resolve();
    });
    const timer = setTimeout(() => {
      finish();
      reject(new Error(`${file} does not show ${value}`));
    }, PATIENCE_MS);
  });
}

async function shows(file: string, value: string): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!has(file, value)) {
    if (performance.now() > endMs) throw new Error(`${file} does not show ${value}`);
    await delay(10);
  }
}

/** A new key-value store upgrades itself for a moment. */
async function untilDone(attempt: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (tries >= 50) throw error;
      await delay(100);
    }
  }
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function residentKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
}
