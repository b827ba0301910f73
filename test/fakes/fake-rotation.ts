import { randomUUID } from "node:crypto";
import { EventEmitter, on } from "node:events";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import {
  type Agent,
  AgentPhase,
  type AgentProcess,
  AgentServiceService,
  type Holder,
  type Hop,
  type ListHoldersRequest,
  type ReloadResult,
  type SpawnAgentRequest,
} from "../../gen/murmur/rotation/v1/agents";
import { IdentityServiceService, Role } from "../../gen/murmur/rotation/v1/identity";
import {
  type PreviewedChange,
  type RekeyAgentRequest,
  type RekeyAgentsRequest,
  type Rollout,
  RolloutKind,
  RolloutServiceService,
  RolloutState,
  type RolloutTarget,
  TargetState,
} from "../../gen/murmur/rotation/v1/rollouts";
import { freePort } from "../../dev/parts/free-port";
import { notFound, unauthenticated } from "../../lib/errors";
import type { CallContext } from "../../lib/grpc/context";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import { createAuthenticator } from "../../lib/identity/authenticate";
import { issueDeveloperToken } from "../../lib/identity/claims";
import { keySetOf } from "../../lib/identity/key-set";
import { generateSigningKey, type SigningKey, toPublicKey } from "../../lib/identity/signing-key";
import { silentLog } from "../../lib/log";
import { processMessage } from "./process-message";

const TENANT = "acme";

/** One rollout of the fake, and the targets as they are now. */
export interface FakeRollout {
  rollout: Rollout;
  targets: RolloutTarget[];
}

export interface FakeRotation {
  address: string;
  /** Agents that exist; change them at will. */
  agents: Agent[];
  hops: Hop[];
  holders: Holder[];
  /** What PreviewRekey says. */
  changes: PreviewedChange[];
  warnings: string[];
  rollouts: FakeRollout[];
  requests: {
    rekey: RekeyAgentRequest[];
    rekeyMany: RekeyAgentsRequest[];
    spawn: SpawnAgentRequest[];
    holders: ListHoldersRequest[];
  };
  /** How many streams are being watched now. */
  watchers(): number;
  /** Acks or fails the target of that path in the newest rollout, and tells those who watch. */
  settle(path: string, change: Partial<RolloutTarget>): void;
  /** Acks every target of each new rollout at once. */
  isPrompt: boolean;
  /** What the next answers of ListRolloutProcesses say, an entry for each target. */
  processes: AgentProcess[][];
  /** The same of their reloads. */
  reloads: (ReloadResult | undefined)[];
  /** Makes the next calls of RekeyAgent fail with these. */
  rekeyFailures: Error[];
  token(role?: "member" | "admin" | "owner"): Promise<string>;
  /** Cuts every call and refuses new ones, until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** An agent with what a test does not care for filled in. */
export function fakeAgent(agent: Partial<Agent>): Agent {
  const path = agent.path ?? "fix-auth";
  return {
    agentId: randomUUID(),
    workspace: "backend",
    slug: path.split("/").at(-1) ?? path,
    path,
    parentAgentId: "",
    vmId: "vm-id-1",
    vmName: "build-1",
    phase: AgentPhase.AGENT_PHASE_RUNNING,
    desiredGeneration: 1n,
    appliedGeneration: 1n,
    createdAt: new Date(),
    endedAt: undefined,
    exitStatus: undefined,
    developer: "github/alice",
    killRequested: false,
    ...agent,
  };
}

/**
 * A rotation service for the CLI's tests: real gRPC, tokens and errors; agents and rollouts in
 * memory, acked when the test says so.
 */
export async function startFakeRotation(
  signingKey: SigningKey = generateSigningKey("murmur-rotation"),
): Promise<FakeRotation> {
  const changed = new EventEmitter();
  changed.setMaxListeners(0);
  let server: GrpcServer;
  const fake: FakeRotation = {
    address: "",
    agents: [],
    hops: [],
    holders: [],
    changes: [],
    warnings: [],
    rollouts: [],
    requests: { rekey: [], rekeyMany: [], spawn: [], holders: [] },
    isPrompt: false,
    processes: [],
    reloads: [],
    rekeyFailures: [],
    watchers: () => changed.listenerCount("change"),
    settle(path, change) {
      const newest = fake.rollouts.at(-1)!;
      Object.assign(
        newest.targets.find((target) => target.path === path)!,
        change,
      );
      count(newest);
      changed.emit("change");
    },
    token: (role = "owner") =>
      issueDeveloperToken(signingKey, {
        tenantId: TENANT,
        developer: "github/alice",
        role,
        ttlSeconds: 3600,
      }),
    stop: () => server.stop(0),
    async start() {
      server = createServer(fake, changed, signingKey);
      const port = await server.listen(
        fake.address === "" ? `127.0.0.1:${await freePort()}` : fake.address,
      );
      fake.address = `127.0.0.1:${port}`;
    },
  };
  await fake.start();
  return fake;
}

function createServer(fake: FakeRotation, changed: EventEmitter, key: SigningKey): GrpcServer {
  const methods: { path: string }[] = [
    ...Object.values(AgentServiceService),
    ...Object.values(RolloutServiceService),
    ...Object.values(IdentityServiceService),
  ];
  const server = createGrpcServer({
    authenticate: createAuthenticator({
      keySet: keySetOf([toPublicKey(key)]),
      service: "rotation",
    }),
    log: silentLog,
    maxTimeoutMs: 30_000,
    access: Object.fromEntries(methods.map(({ path }) => [path, { developer: "member" }])),
    descriptorSet: DESCRIPTOR_SET,
  });
  server.add(AgentServiceService, agentHandlers(fake));
  server.add(RolloutServiceService, rolloutHandlers(fake, changed));
  server.add(IdentityServiceService, {
    getIdentity: (_request, { principal }) => {
      if (principal?.kind !== "developer") throw unauthenticated();
      const { tenantId, id: developer, expiresAt } = principal;
      const role = Role.ROLE_OWNER;
      return Promise.resolve({ tenantId, developer, expiresAt, role, isOperator: false });
    },
    renewIdentityToken: async () => ({
      token: await fake.token("admin"),
      expiresAt: new Date(Date.now() + 3_600_000),
    }),
    getSignIn: () => Promise.reject(new Error("the fake rotation does not do this")),
    exchangeToken: () => Promise.reject(new Error("the fake rotation does not do this")),
    verifyIdentityTokens: () => Promise.reject(new Error("the fake rotation does not do this")),
  });
  return server;
}

function agentHandlers(fake: FakeRotation) {
  const find = ({ workspace, path }: { workspace: string; path: string }): Agent => {
    const agent = fake.agents.find((it) => it.workspace === workspace && it.path === path);
    if (agent) return agent;
    const message = `no agent "${path}" in workspace "${workspace}"`;
    throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, message);
  };
  const tree = (path: string) => fake.agents.filter((it) => it.path.startsWith(`${path}/`));
  return {
    spawnAgent: (request: SpawnAgentRequest) => {
      fake.requests.spawn.push(request);
      const agent = fakeAgent({
        agentId: request.agentId,
        path: request.slug,
        workspace: request.workspace,
        phase: AgentPhase.AGENT_PHASE_STARTING,
      });
      fake.agents.push(agent);
      return Promise.resolve({ agent, warnings: fake.warnings });
    },
    getAgent: (request: { workspace: string; path: string }) =>
      Promise.resolve({
        agent: find(request),
        descendants: tree(request.path),
        processes: [
          processMessage({ pid: 41, name: "bash", startTicks: 7n, generation: 1n, layer: "bash" }),
        ],
        reportedAt: new Date(),
      }),
    listAgents: (request: { workspace: string; includeEnded: boolean; pageToken: string }) => {
      // Two a page, so that callers have to turn it.
      const from = Number(request.pageToken);
      const found = fake.agents
        .filter((it) => request.workspace === "" || it.workspace === request.workspace)
        .filter((it) => request.includeEnded || !it.endedAt);
      const isLast = from + 2 >= found.length;
      const page = { agents: found.slice(from, from + 2), nextPageToken: String(from + 2) };
      return Promise.resolve(isLast ? { ...page, nextPageToken: "" } : page);
    },
    killAgent: (request: { workspace: string; path: string }) =>
      Promise.resolve({ agents: [find(request), ...tree(request.path)] }),
    explainAgent: (request: { workspace: string; path: string }) =>
      Promise.resolve({ agent: find(request), hops: fake.hops, summary: "its VM is away" }),
    listHolders: (request: ListHoldersRequest) => {
      fake.requests.holders.push(request);
      // One a page, so that callers have to turn it; the first is empty.
      const at = Number(request.pageToken);
      const isLast = at >= fake.holders.length;
      const holders = fake.holders.slice(Math.max(at - 1, 0), at);
      return Promise.resolve({ holders, nextPageToken: isLast ? "" : String(at + 1) });
    },
  };
}

function rolloutHandlers(fake: FakeRotation, changed: EventEmitter) {
  const find = (rolloutId: string): FakeRollout => {
    const found = fake.rollouts.find(({ rollout }) => rollout.rolloutId === rolloutId);
    if (found) return found;
    throw notFound(ErrorReason.ERROR_REASON_ROLLOUT_NOT_FOUND, `no rollout "${rolloutId}"`);
  };
  return {
    rekeyAgent: (request: RekeyAgentRequest) => {
      fake.requests.rekey.push(request);
      const failure = fake.rekeyFailures.shift();
      if (failure) throw failure;
      const made = fake.rollouts.at(-1);
      const isRepeat = fake.requests.rekey.at(-2)?.requestId === request.requestId && made;
      const { rollout, targets } = isRepeat ? made : makeRollout(fake, request);
      return Promise.resolve({ rollout, targets, warnings: fake.warnings });
    },
    rekeyAgents: (request: RekeyAgentsRequest) => {
      fake.requests.rekeyMany.push(request);
      const { workspace = "", which } = request.selection ?? {};
      const path = which?.$case === "path" ? which.value : "";
      const made = makeRollout(fake, { ...request, workspace, path });
      if (which?.$case === "secretName") made.rollout.secretName = which.value;
      if (which?.$case === "holders") made.rollout.secretName = which.value.secretName;
      return Promise.resolve({ ...made, warnings: fake.warnings });
    },
    previewRekey: () => Promise.resolve({ changes: fake.changes, warnings: fake.warnings }),
    rollbackRollout: ({ rolloutId, reason }: { rolloutId: string; reason: string }) => {
      const { workspace, path } = find(rolloutId).rollout;
      const made = makeRollout(fake, { workspace, path, reason, requestId: "" });
      Object.assign(made.rollout, {
        kind: RolloutKind.ROLLOUT_KIND_ROLLBACK,
        rollsBack: rolloutId,
      });
      find(rolloutId).rollout.rolledBackBy = made.rollout.rolloutId;
      return Promise.resolve({ ...made, warnings: fake.warnings });
    },
    getRollout: ({ rolloutId }: { rolloutId: string }) => Promise.resolve(find(rolloutId)),
    listRollouts: () =>
      Promise.resolve({
        rollouts: fake.rollouts.map(({ rollout }) => rollout).reverse(),
        nextPageToken: "",
      }),
    listRolloutProcesses: ({ rolloutId }: { rolloutId: string }) => {
      const { targets } = find(rolloutId);
      const agents = targets.map(({ agentId, path, generation }) => {
        const processes = fake.processes.shift() ?? [];
        const reload = fake.reloads.shift();
        const known = { processes, reload, reportedAt: new Date(), isCurrent: true };
        return { agentId, path, generation, ...known };
      });
      return Promise.resolve({ agents });
    },
    async *watchRollout({ rolloutId }: { rolloutId: string }, { signal }: CallContext) {
      const watched = find(rolloutId);
      const changes = on(changed, "change", { signal });
      for (;;) {
        yield structuredClone(watched);
        if (watched.rollout.state === RolloutState.ROLLOUT_STATE_COMPLETED) return;
        await changes.next();
      }
    },
  };
}

function makeRollout(fake: FakeRotation, { workspace, path, reason }: RekeyAgentRequest) {
  const named = fake.agents.filter(
    (it) =>
      (workspace === "" || it.workspace === workspace) &&
      (path === "" || it.path === path || it.path.startsWith(`${path}/`)),
  );
  if (named.length === 0) {
    const message = `no agent "${path}" in workspace "${workspace}"`;
    throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, message);
  }
  const targets = named.map((agent) => toTarget(agent, fake.isPrompt));
  const rollout: Rollout = {
    rolloutId: `rollout-${fake.rollouts.length + 1}`,
    ...{ workspace, path, reason },
    requestedBy: "github/alice",
    acceptedAt: new Date(),
    completedAt: undefined,
    state: RolloutState.ROLLOUT_STATE_OPEN,
    ...{ targetsTotal: 0, targetsApplied: 0, targetsFailed: 0, targetsSkipped: 0 },
    unchanged: false,
    ...{ kind: RolloutKind.ROLLOUT_KIND_REKEY, rollsBack: "", rolledBackBy: "" },
    secretName: "",
  };
  const made = { rollout, targets };
  count(made);
  fake.rollouts.push(made);
  return made;
}

function toTarget(agent: Agent, isPrompt: boolean): RolloutTarget {
  const pending = isPrompt ? TargetState.TARGET_STATE_APPLIED : TargetState.TARGET_STATE_PENDING;
  return {
    agentId: agent.agentId,
    path: agent.path,
    vmName: agent.vmName,
    generation: 2n,
    state: agent.endedAt ? TargetState.TARGET_STATE_SKIPPED : pending,
    reason: agent.endedAt ? "completed" : "",
    ackedAt: undefined,
    omittedNames: [],
  };
}

function count({ rollout, targets }: FakeRollout): void {
  const of = (state: TargetState) => targets.filter((target) => target.state === state).length;
  rollout.targetsTotal = targets.length;
  rollout.targetsApplied = of(TargetState.TARGET_STATE_APPLIED);
  rollout.targetsSkipped = of(TargetState.TARGET_STATE_SKIPPED);
  rollout.targetsFailed = of(TargetState.TARGET_STATE_FAILED);
  const isOver = rollout.targetsApplied + rollout.targetsSkipped === targets.length;
  if (isOver) rollout.state = RolloutState.ROLLOUT_STATE_COMPLETED;
}
