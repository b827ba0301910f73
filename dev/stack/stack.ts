import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "../parts/free-port";
import { type KafkaPart, startKafka } from "../parts/kafka";
import { type OpenBaoPart, startOpenBao } from "../parts/openbao";
import type { Part } from "../parts/part";
import { type PostgresPart, startPostgres } from "../parts/postgres";
import { repositoryRoot } from "../parts/tools";
import { emptyDataDirectory, holdDataDirectory, requireFreePort } from "./data-directory";
import { endAgents, killLeftovers } from "./end-agents";
import { type Identities, makeIdentities } from "./identities";
import { keepRunning, type KeptPart } from "./keep-running";
import { Murmur } from "./murmur";
import type { StackOptions } from "./options";
import { writePrivate } from "./private-file";
import {
  type Place,
  startCatalog,
  startGateway,
  startRotation,
  startVmAgent,
  updateSchemas,
} from "./services";
import { removeStackFile, staleRunDirs, writeStackFile } from "./stack-file";

/** Tells the person in front of the terminal what goes on. */
export type Say = (line: string) => void;

/** The whole system on this machine. */
export interface Stack {
  place: Place;
  identities: Identities;
  murmur: Murmur;
  vms: Vm[];
  /** A part that ends is not started again until the returned function is called. */
  hold(part: string): () => void;
  /** Stops everything and removes what must not stay behind. Calling twice is the same. */
  stop(): Promise<void>;
}

export interface Vm {
  name: string;
  id: string;
  socket: string;
  runDir: string;
}

interface Parts {
  postgres?: KeptPart<PostgresPart>;
  kafka?: KeptPart<KafkaPart>;
  vault?: KeptPart<OpenBaoPart>;
}

export const WORKSPACE = "demo";

/** Starts PostgreSQL, what else was asked for, the services and the VM daemons, in that order. */
export async function startStack(options: StackOptions, say: Say): Promise<Stack> {
  const starting = new Starting(options, say);
  try {
    return await starting.run();
  } catch (error) {
    await starting.stop();
    throw error;
  }
}

class Starting {
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #pids: Record<string, number> = {};
  readonly #parts: Parts = {};
  readonly #vms: Vm[] = [];
  /** What a start of a part waits for, and how to end the wait. */
  readonly #holds = new Map<string, { over: Promise<void>; end: () => void }>();
  #place: Place | undefined;
  #staleRunDirs: string[] = [];
  #isReady = false;
  #stopping: Promise<void> | undefined;

  constructor(
    private readonly options: StackOptions,
    private readonly say: Say,
  ) {}

  async run(): Promise<Stack> {
    const place = await this.#makePlace();
    this.#place = place;
    const identities = makeIdentities(join(place.dataDir, "keys"));
    await this.#startParts(place);
    await updateSchemas(place);
    await this.#keep("catalog", () => startCatalog(place, identities));
    await this.#keep("rotation", () => startRotation(place, identities));
    if (this.options.withGateway ?? true)
      await this.#keep("gateway", () => startGateway(place, identities));
    const token = await identities.issueToken();
    const config = {
      catalog: place.catalog,
      rotation: place.rotation,
      gateway: place.gateway,
      tenant: identities.tenant,
      workspace: WORKSPACE,
      token,
    };
    writePrivate(
      place.configFile,
      Object.entries(config)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(""),
    );
    const murmur = new Murmur(place.root, place.configFile);
    await murmur.runOnceReachable(["set", "workspace", WORKSPACE], `name: ${WORKSPACE}\n`);
    for (let number = 1; number <= this.options.vms; number++)
      await this.#startVm(place, murmur, number);
    // Of an earlier run that was not stopped in order; and at the end of this one.
    await endAgents(place.rotation, token);
    for (const runDir of this.#staleRunDirs) removeRunDir(runDir);
    this.#closers.push(() => endAgents(place.rotation, token));
    this.#isReady = true;
    this.#writeFile();
    return {
      ...{ place, identities, murmur, vms: this.#vms },
      hold: (part) => this.#hold(part),
      stop: () => this.stop(),
    };
  }

  #hold(part: string): () => void {
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    const hold = { over, end };
    this.#holds.set(part, hold);
    return () => {
      if (this.#holds.get(part) === hold) this.#holds.delete(part);
      end();
    };
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#closeAll();
    return this.#stopping;
  }

  async #closeAll(): Promise<void> {
    for (const { end } of this.#holds.values()) end();
    this.#holds.clear();
    for (const close of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        this.say(`could not stop a part: ${error instanceof Error ? error.message : "failed"}`);
      }
    }
  }

  async #makePlace(): Promise<Place> {
    const { options } = this;
    const isThrowAway = options.dataDir === undefined;
    const dataDir = isThrowAway
      ? mkdtempSync(join(tmpdir(), "murmur-demo-"))
      : resolve(options.dataDir ?? "");
    if (!isThrowAway) {
      const lock = await holdDataDirectory(dataDir);
      this.#closers.push(() => {
        lock.release();
      });
      this.#staleRunDirs = staleRunDirs(dataDir);
      if (options.fresh) emptyDataDirectory(dataDir);
      removeStackFile(dataDir);
      this.#closers.push(() => {
        removeStackFile(dataDir);
      });
    } else {
      this.#closers.push(() => {
        rmSync(dataDir, { recursive: true, force: true });
      });
    }
    const runDir = mkdtempSync(join(memoryDirectory(), "murmur-"));
    this.#closers.push(() => {
      removeRunDir(runDir);
    });
    const port = async (offset: number) => {
      if (options.firstPort === 0) return freePort();
      await requireFreePort(options.firstPort + offset);
      return options.firstPort + offset;
    };
    return {
      root: repositoryRoot(),
      dataDir,
      runDir,
      logDir: join(dataDir, "logs"),
      configFile: join(dataDir, "murmur.local.yaml"),
      gateway: `127.0.0.1:${await port(0)}`,
      catalog: `127.0.0.1:${await port(1)}`,
      rotation: `127.0.0.1:${await port(2)}`,
      postgresUrl: "",
      settings: options.settings ?? {},
    };
  }

  async #startParts(place: Place): Promise<void> {
    const { options, say } = this;
    const directory = (name: string) => ({ directory: join(place.dataDir, name) });
    say("starting PostgreSQL");
    this.#parts.postgres = await this.#keep("postgres", (last?: PostgresPart) =>
      startPostgres({
        ...directory("postgres"),
        ...(options.postgresCopy !== undefined && { copyOf: options.postgresCopy }),
        ...(last && { port: last.port }),
      }),
    );
    place.postgresUrl = this.#parts.postgres.current().url;
    if (options.withKafka) {
      say("starting Kafka");
      this.#parts.kafka = await this.#keep("kafka", (last?: KafkaPart) =>
        startKafka({ ...directory("kafka"), ...(last && { port: last.port }) }),
      );
      place.kafkaBrokers = this.#parts.kafka.current().brokers;
    }
    if (options.withVault) {
      say("starting Vault (OpenBao)");
      this.#parts.vault = await this.#keep("vault", (last?: OpenBaoPart) =>
        startOpenBao({ ...directory("vault"), ...(last && { port: last.port }) }),
      );
      const { address, token } = this.#parts.vault.current();
      place.vault = {
        address,
        tokenFile: writePrivate(join(place.dataDir, "keys", "vault-token"), token),
      };
    }
  }

  async #startVm(place: Place, murmur: Murmur, number: number): Promise<void> {
    const name = `vm-${number}`;
    const runDir = join(place.runDir, name);
    const stateDir = join(place.dataDir, "vms", name);
    const joinTokenFile = join(place.dataDir, "keys", `${name}-join-token`);
    const { stdout } = await murmur.runOnceReachable(["vm", "join-token", name]);
    writePrivate(joinTokenFile, stdout);
    await this.#keep(`vm-agent-${number}`, () =>
      startVmAgent(place, { name, runDir, stateDir, joinTokenFile }),
    );
    const listed = JSON.parse((await murmur.runOnceReachable(["vm", "ls", "--json"])).stdout) as {
      name: string;
      vm_id: string;
    }[];
    const id = listed.find((vm) => vm.name === name)?.vm_id ?? "";
    this.#vms.push({ name, id, socket: join(runDir, "agent.sock"), runDir });
  }

  async #keep<P extends Part>(name: string, start: (last?: P) => Promise<P>): Promise<KeptPart<P>> {
    let last: P | undefined;
    const kept = await keepRunning<P>({
      name,
      start: async () => {
        await this.#holds.get(name)?.over;
        return start(last);
      },
      onStarted: (part) => {
        last = part;
        this.#pids[name] = part.pid;
        this.#writeFile();
      },
      onTrouble: (what) => {
        if (this.#isReady) this.say(what);
      },
    });
    this.#closers.push(() => kept.stop());
    return kept;
  }

  #writeFile(): void {
    const place = this.#place;
    if (!place || this.#stopping) return;
    const { kafkaBrokers: kafka, vault, catalog, rotation, gateway } = place;
    writeStackFile(place.dataDir, {
      ready: this.#isReady,
      catalog,
      rotation,
      gateway,
      ...(kafka && { kafka }),
      ...(vault && { vault: vault.address }),
      postgres: place.postgresUrl,
      config: place.configFile,
      vms: this.#vms.map(({ id, socket, runDir }) => ({ id, socket, run_dir: runDir })),
      pids: { ...this.#pids },
    });
  }
}

/** Ends what still runs on it, and removes it with its env files and sockets. */
function removeRunDir(runDir: string): void {
  killLeftovers(runDir);
  rmSync(runDir, { recursive: true, force: true });
}

/** A directory in memory, where there is one: env files must not reach a disk. */
function memoryDirectory(): string {
  return existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
}
