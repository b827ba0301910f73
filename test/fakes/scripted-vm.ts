import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { AgentPhase, type ExitStatus } from "../../gen/murmur/rotation/v1/agents";
import {
  AckOutcome,
  AgentWish,
  type Ack,
  type AgentReport,
  type DesiredAgent,
  type VmHello,
  type VmUpdate,
  type WatchVmRequest,
  type WatchVmResponse,
} from "../../gen/murmur/rotation/v1/vm_sync";
import { isAppError } from "../../lib/errors";
import type { ClientConversation } from "../../lib/grpc/client";
import type { RotationClients } from "../harness/rotation";

/** A VM daemon as rotation sees it, without files and processes: it does what a test tells it. */
export interface ScriptedVm {
  /** What it was told, newest state of each agent. */
  readonly desired: Map<string, DesiredAgent>;
  /** Every message that it was sent, in order. */
  readonly received: WatchVmResponse[];
  /** Generations that it has swapped in, by agent. */
  readonly applied: Map<string, { generation: bigint; fingerprint: Buffer }>;
  /** Resolves with the failure that ended the stream, undefined when it ended in order. */
  readonly ended: Promise<unknown>;
  sendHello(): void;
  send(update: Partial<VmUpdate>): void;
  ack(agentId: string, change?: Partial<Ack>): void;
  report(agentId: string, phase: AgentPhase, exitStatus?: ExitStatus): void;
  close(): void;
}

export interface ScriptedVmOptions {
  client: RotationClients["vmSync"];
  bootId?: string;
  incarnationNumber?: bigint;
  incarnation?: string;
  applied?: ScriptedVm["applied"];
  /** Agents that it says it knows of, in its hello. */
  reports?: AgentReport[];
  /** Acks, and reports as running or ended, by itself. */
  isObedient?: boolean;
  /** Says hello when the test says so, not at once. */
  waitsWithHello?: boolean;
  /** Does not come back, as daemons do, when the replica cannot see what others announce. */
  endsWhenBehind?: boolean;
}

const RETRY_MS = 100;

/** Opens a stream and says hello; again whenever the replica is behind, as on a busy machine. */
export async function connectVm(options: ScriptedVmOptions): Promise<ScriptedVm> {
  let conversation = await options.client.watchVm();
  let [isGreeted, isClosed] = [false, false];
  const desired = new Map<string, DesiredAgent>();
  const received: WatchVmResponse[] = [];
  const applied: ScriptedVm["applied"] =
    options.applied ?? new Map<string, { generation: bigint; fingerprint: Buffer }>();
  const vm: ScriptedVm = {
    desired,
    received,
    applied,
    ended: follow(),
    sendHello: () => {
      isGreeted = true;
      conversation.send({ message: { $case: "hello", value: toHello(options, applied) } });
    },
    send: (update) => {
      conversation.send({
        message: { $case: "update", value: { acks: [], agents: [], ...update } },
      });
    },
    ack: (agentId, change) => {
      vm.send({ acks: [toAck(vm, agentId, change)] });
    },
    report: (agentId, phase, exitStatus) => {
      vm.send({ agents: [{ agentId, phase, exitStatus, processes: [] }] });
    },
    close: () => {
      isClosed = true;
      conversation.cancel();
    },
  };
  if (!options.waitsWithHello) vm.sendHello();
  return vm;

  async function follow(): Promise<unknown> {
    for (;;) {
      const failure = await listen(conversation, hear);
      if (isClosed || options.endsWhenBehind || !isBehind(failure)) return failure;
      await delay(RETRY_MS);
      conversation = await options.client.watchVm();
      if (isGreeted) vm.sendHello();
    }
  }

  function hear(message: WatchVmResponse): void {
    received.push(message);
    if (message.message?.$case !== "desired") return;
    for (const agent of message.message.value.agents) desired.set(agent.agentId, agent);
    if (options.isObedient) obey(vm, message.message.value.agents);
  }
}

function isBehind(failure: unknown): boolean {
  return isAppError(failure) && failure.reason === ErrorReason.ERROR_REASON_REPLICA_BEHIND;
}

async function listen(
  conversation: ClientConversation<WatchVmRequest, WatchVmResponse>,
  onMessage: (message: WatchVmResponse) => void,
): Promise<unknown> {
  try {
    for await (const message of conversation.responses) onMessage(message);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The hello of a VM in this state. */
export function toHello(options: ScriptedVmOptions, applied: ScriptedVm["applied"]): VmHello {
  return {
    bootId: options.bootId ?? "boot-1",
    incarnation: options.incarnation ?? `start-${options.incarnationNumber ?? 1n}`,
    incarnationNumber: options.incarnationNumber ?? 1n,
    applied: [...applied].map(([agentId, set]) => ({ agentId, ...set })),
    agents: options.reports ?? [],
  };
}

function toAck(vm: ScriptedVm, agentId: string, change: Partial<Ack> = {}): Ack {
  const agent = vm.desired.get(agentId);
  const ack: Ack = {
    agentId,
    generation: agent?.generation ?? 0n,
    fingerprint: agent?.fingerprint ?? Buffer.alloc(0),
    outcome: AckOutcome.ACK_OUTCOME_APPLIED,
    reason: "",
    omittedNames: [],
    appliedAt: undefined,
    ...change,
  };
  if (ack.outcome === AckOutcome.ACK_OUTCOME_APPLIED)
    vm.applied.set(agentId, { generation: ack.generation, fingerprint: ack.fingerprint });
  return ack;
}

function obey(vm: ScriptedVm, agents: readonly DesiredAgent[]): void {
  const isWanted = ({ wish }: DesiredAgent) => wish === AgentWish.AGENT_WISH_RUN;
  vm.send({
    acks: agents.filter(isWanted).map(({ agentId }) => toAck(vm, agentId)),
    agents: agents.map((agent) => ({
      agentId: agent.agentId,
      phase: isWanted(agent) ? AgentPhase.AGENT_PHASE_RUNNING : AgentPhase.AGENT_PHASE_CANCELLED,
      exitStatus: isWanted(agent) ? undefined : { how: { $case: "signal", value: "SIGTERM" } },
      processes: [],
    })),
  });
}

/** A spawn request with everything filled in. */
export function spawnRequest(change: {
  workspace: string;
  slug: string;
  agentId?: string;
  vm?: string;
  parentAgentId?: string;
  command?: string[];
  expectsSpawnSecrets?: boolean;
}) {
  return {
    agentId: randomUUID(),
    vm: "",
    parentAgentId: "",
    command: ["/bin/sh", "-c", "exec sleep 1000"],
    workingDirectory: "",
    expectsSpawnSecrets: false,
    ...change,
  };
}
