import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { silentLog } from "../../lib/log";
import { sensitive } from "../../lib/sensitive";
import { createEnvFiles } from "../../services/vm-agent/env-set/env-files";
import { render } from "../../services/vm-agent/env-set/render";
import { prepareRunDir } from "../../services/vm-agent/env-set/run-dir";
import { liveNames } from "../../services/vm-agent/live-env/launch";
import { prepareLayers, quickenLayers } from "../../services/vm-agent/live-env/layers";
import type { LayerName } from "../../services/vm-agent/live-env/receipts";

/** An agent's directory as a daemon makes it, and the layers, for programs of a bench. */
export interface BenchAgent {
  directory: string;
  /** Python itself, and nothing that it loads but its own. */
  python: string;
  /** A Node program that ends at once. */
  nothing: string;
  /** Puts `TOKEN=t-<generation>` in force; returns when the link moved, CLOCK_MONOTONIC in ns. */
  swap(generation: number): bigint;
  /** What a program starts with that has these layers; none: one outside of agents. */
  environment(works: readonly LayerName[]): Record<string, string>;
  remove(): void;
}

const AGENT = "agent-1";
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** As many as the sets of the other figures have. */
const OTHER_SECRETS = 19;

export async function createBenchAgent(root: string): Promise<BenchAgent> {
  const base = fs.mkdtempSync("/dev/shm/murmur-live-");
  const { agentsDirectory } = prepareRunDir(`${base}/run`, OWNER.uid);
  let movedAt = 0n;
  const renameSync: typeof fs.renameSync = (from, to) => {
    if (String(to).endsWith("/..data")) movedAt = process.hrtime.bigint();
    fs.renameSync(from, to);
  };
  const files = createEnvFiles({ agentsDirectory, uid: OWNER.uid, fs: { ...fs, renameSync } });
  const directory = files.directoryOf(AGENT);
  const python = makePython(`${base}/python`);
  const shared = { searchPath: `${dirname(python)}:/usr/bin:/bin`, log: silentLog };
  const layers = prepareLayers({
    ...{ from: join(root, "dist/live-env"), runDir: base, user: OWNER, ...shared },
    searchPath: `${dirname(python)}:${dirname(process.execPath)}:/usr/bin:/bin`,
  });
  await quickenLayers(layers, shared, new AbortController().signal);
  const installed = await layers;
  let inForce = 0;
  return {
    ...{ directory, python },
    nothing: join(root, "bench/live/readers/nothing.cjs"),
    swap(generation) {
      inForce = generation;
      const options = { directory, history: files.readHistory(AGENT) };
      files.swap(render(setOf(generation), options), OWNER);
      files.prune(AGENT);
      return movedAt;
    },
    environment: (works) => ({
      ...{ PATH: "/usr/bin:/bin", SHLVL: "1" },
      ...Object.fromEntries(
        setOf(inForce).variables.map(({ name, value }) => [name, value.expose().toString()]),
      ),
      ...(works.length === 0
        ? {}
        : {
            ...liveNames({}, { directory: installed.directory, works }),
            ...{ MURMUR_DIR: directory, MURMUR_GENERATION: String(inForce) },
          }),
    }),
    remove() {
      files.close();
      fs.rmSync(base, { recursive: true });
    },
  };
}

/** With an environment of its own, as projects have, so that what the machine's loads at each start is not in it. */
function makePython(into: string): string {
  const ask = ["-c", "import sys; print(sys.executable)"];
  // What is on the path may be a version manager's script.
  const python = execFileSync("python3", ask, { encoding: "utf8" }).trim();
  execFileSync(python, ["-m", "venv", "--without-pip", into]);
  return join(into, "bin/python");
}

function setOf(generation: number) {
  const variable = (name: string, text: string) => ({
    ...{ name, value: sensitive(Buffer.from(text)), delivery: "environment" as const },
  });
  const others = Array.from({ length: OTHER_SECRETS }, (_, at) =>
    variable(`SERVICE_${String(at).padStart(2, "0")}_TOKEN`, `tok-${at}-${"x".repeat(28)}`),
  );
  const variables = [...others, variable("TOKEN", `t-${generation}`)];
  const fingerprint = `f${generation}`;
  return { agentId: AGENT, generation: BigInt(generation), variables, unset: [], fingerprint };
}
