import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { Client } from "pg";
import { SecretDelivery, SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { UserServiceService } from "../../gen/murmur/catalog/v1/users";
import { VmServiceService } from "../../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../../gen/murmur/catalog/v1/workspaces";
import { type Agent, AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { BindingServiceService } from "../../gen/murmur/rotation/v1/bindings";
import { CredentialServiceService } from "../../gen/murmur/rotation/v1/credentials";
import { IdentityServiceService } from "../../gen/murmur/rotation/v1/identity";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { SelfRotationServiceService } from "../../gen/murmur/rotation/v1/self_rotation";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import type { StackOptions } from "../../dev/stack/options";
export { WORKSPACE } from "../../dev/stack/stack";
import { type Stack, startStack, WORKSPACE } from "../../dev/stack/stack";
import { stackFileOf, type StackFile } from "../../dev/stack/stack-file";
import { type Channel, type ClientOf, createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "./eventually";
import { askForPart } from "./parts-client";

export interface StackClients {
  secrets: ClientOf<typeof SecretServiceService>;
  users: ClientOf<typeof UserServiceService>;
  workspaces: ClientOf<typeof WorkspaceServiceService>;
  vms: ClientOf<typeof VmServiceService>;
  agents: ClientOf<typeof AgentServiceService>;
  rollouts: ClientOf<typeof RolloutServiceService>;
  credentials: ClientOf<typeof CredentialServiceService>;
  bindings: ClientOf<typeof BindingServiceService>;
  selfRotation: ClientOf<typeof SelfRotationServiceService>;
  identity: ClientOf<typeof IdentityServiceService>;
  vmSync: ClientOf<typeof VmSyncServiceService>;
}

/** The whole system as real processes, on free ports, thrown away at the end. */
export interface TestStack extends Stack {
  /** Of a developer who may do all; each call ends within 10 s. */
  clients: StackClients;
  /** As anybody with this token, or without one. */
  clientsOf(token: string | undefined): StackClients;
  /** The pid under which a part (`catalog`, `vm-agent-1`, `postgres`, …) runs now. */
  pidOf(part: string): number;
  /** SIGKILL, as in a crash, without warning; resolves when the part runs and answers again. */
  kill(part: string): Promise<void>;
  /** The same, and nothing starts it again until the returned function is called, or `thaw`. */
  takeAway(part: string): () => Promise<void>;
  /** SIGSTOP to a part with its children (agents left out), until the returned function is called. */
  freeze(part: string): () => void;
  /** Lets everything go on that is frozen, and come back that was taken away. */
  thaw(): void;
  /** Writes two secrets that hold the same random text: what mixes two sets is found by them. */
  setTwins(random: string): Promise<void>;
  /** Rekeys an agent and resolves with the generations that were asked for, by path. */
  rekey(path: string, requestId?: string): Promise<Map<string, bigint>>;
  agent(path: string): Promise<Agent>;
  /** Asks PostgreSQL itself, past the services. */
  query<Row extends object>(text: string, params?: unknown[]): Promise<Row[]>;
  /** Waits until the service says that an agent stands on at least this generation. */
  applied(path: string, generation: bigint, timeoutMs?: number): Promise<void>;
}

/** Kafka takes its time on a machine that has other things to do. */
const START_AGAIN_MS = 90_000;

/** Starts it, without the gateway unless told; `stop` it in `afterAll`. Share one among a file's tests. */
export async function startTestStack(options: Partial<StackOptions> = {}): Promise<TestStack> {
  const said: string[] = [];
  const { directory: postgresCopy } = await askForPart<{ directory: string }>("prepared-postgres");
  const stack = await startStack(
    {
      withKafka: false,
      withVault: false,
      dataDir: undefined,
      fresh: false,
      firstPort: 0,
      vms: 1,
      json: false,
      withGateway: false,
      postgresCopy,
      ...options,
    },
    (line) => void said.push(line),
  );
  const { place } = stack;
  const frozen = new Set<() => void>();
  const channels: Channel[] = [];
  const clientsOf = (token: string | undefined) => {
    const shared = {
      timeoutMs: 10_000,
      ...(token !== undefined && { credentials: bearerCredentials(sensitive(token)) }),
    };
    const catalog = openChannel({ address: place.catalog, ...shared });
    const rotation = openChannel({ address: place.rotation, ...shared });
    channels.push(catalog, rotation);
    return createClients(catalog, rotation);
  };
  const clients = clientsOf(await stack.identities.issueToken());
  const pidOf = (part: string) => {
    const { pids } = JSON.parse(readFileSync(stackFileOf(place.dataDir), "utf8")) as StackFile;
    const pid = pids[part];
    if (pid === undefined) throw new Error(`no part "${part}" among ${Object.keys(pids).join()}`);
    return pid;
  };
  const freeze = (part: string) => {
    // Below a daemon are its agents, which a frozen daemon is no concern of.
    const pid = pidOf(part);
    const pids = part.startsWith("vm-agent") ? [pid] : withDescendants(pid);
    for (const pid of pids) signal(pid, "SIGSTOP");
    const thaw = () => {
      for (const pid of pids) signal(pid, "SIGCONT");
      frozen.delete(thaw);
    };
    frozen.add(thaw);
    return thaw;
  };
  const backAgain = (part: string, pid: number) =>
    eventually(
      () => {
        if (pidOf(part) === pid) throw new Error(`${part} was not started again`);
      },
      { timeoutMs: START_AGAIN_MS },
    );
  const agent = async (path: string) => {
    const response = await clients.agents.getAgent({ workspace: WORKSPACE, path });
    if (!response.agent) throw new Error(`no agent in the answer about ${path}`);
    return response.agent;
  };
  return {
    ...stack,
    clients,
    clientsOf,
    pidOf,
    freeze,
    agent,
    async query<Row extends object>(text: string, params: unknown[] = []) {
      const client = new Client({ connectionString: place.postgresUrl });
      await client.connect();
      try {
        return (await client.query<Row>(text, params)).rows;
      } finally {
        await client.end();
      }
    },
    async kill(part) {
      const pid = pidOf(part);
      process.kill(pid, "SIGKILL");
      await backAgain(part, pid);
    },
    takeAway(part) {
      const pid = pidOf(part);
      const release = stack.hold(part);
      const letBack = () => {
        release();
        frozen.delete(letBack);
      };
      frozen.add(letBack);
      process.kill(pid, "SIGKILL");
      return () => {
        letBack();
        return backAgain(part, pid);
      };
    },
    thaw: () => {
      for (const thaw of frozen) thaw();
    },
    async setTwins(random) {
      await setSecret(clients, "DEMO_TOKEN", `tok-${random}`);
      await setSecret(clients, "DEMO_TOKEN_TWIN", `twin-${random}`);
    },
    async rekey(path, requestId = "") {
      const request = { workspace: WORKSPACE, path, requestId, reason: "" };
      const { targets } = await clients.rollouts.rekeyAgent(request);
      return new Map(targets.map(({ path: at, generation }) => [at, generation]));
    },
    async applied(path, generation, timeoutMs = 30_000) {
      await eventually(
        async () => {
          const { appliedGeneration } = await agent(path);
          if (appliedGeneration < generation)
            throw new Error(`${path} is on ${appliedGeneration}, not yet on ${generation}`);
        },
        { timeoutMs, everyMs: 20 },
      );
    },
    async stop() {
      for (const thaw of frozen) thaw();
      for (const channel of channels) channel.close();
      await stack.stop();
    },
  };
}

function createClients(catalog: Channel, rotation: Channel): StackClients {
  return {
    secrets: createClient(SecretServiceService, catalog),
    users: createClient(UserServiceService, catalog),
    workspaces: createClient(WorkspaceServiceService, catalog),
    vms: createClient(VmServiceService, catalog),
    agents: createClient(AgentServiceService, rotation),
    rollouts: createClient(RolloutServiceService, rotation),
    credentials: createClient(CredentialServiceService, rotation),
    bindings: createClient(BindingServiceService, rotation),
    selfRotation: createClient(SelfRotationServiceService, rotation),
    identity: createClient(IdentityServiceService, rotation),
    vmSync: createClient(VmSyncServiceService, rotation),
  };
}

/** Writes a tenant secret. */
export async function setSecret(
  { secrets }: Pick<StackClients, "secrets">,
  name: string,
  value: string,
  timeoutMs?: number,
): Promise<void> {
  const request = {
    name,
    plaintextValue: Buffer.from(value),
    description: undefined,
    createdAt: undefined,
    expectedVersion: undefined,
    delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
    requestId: "",
  };
  await secrets.setSecret(request, timeoutMs === undefined ? {} : { timeoutMs });
}

/** A random text that no other set holds, as long as the readers expect it. */
export function freshRandom(): string {
  return randomBytes(12).toString("hex");
}

/** A process and all below it, the parents first. */
export function withDescendants(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(withDescendants)];
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return []; // Gone.
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone meanwhile.
  }
}
