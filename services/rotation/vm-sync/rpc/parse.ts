import type { ExitStatus as ExitMessage } from "../../../../gen/murmur/rotation/v1/agents";
import {
  AckOutcome,
  type Ack,
  type AgentReport,
  type VmHello as HelloMessage,
  type VmUpdate as UpdateMessage,
} from "../../../../gen/murmur/rotation/v1/vm_sync";
import { invalid } from "../../../../lib/errors";
import type { VmPrincipal } from "../../../../lib/identity/principal";
import type { ExitStatus } from "../../agents/domain/agent";
import { fromAdoptionMessage } from "../../agents/domain/agent-adoption";
import { fromHealthMessage } from "../../agents/domain/agent-health";
import { fromProcessMessage } from "../../agents/domain/agent-process";
import { fromReloadMessage } from "../../agents/domain/agent-reload";
import { isUuid } from "../../agents/domain/spawn-request";
import { fromPhase } from "../../announce/desired-state";
import type { Report, VmHello, VmIncarnation } from "../domain/evidence";
import type { VmUpdate } from "../intake";

const MAX_ID_LENGTH = 128;
const MAX_TEXT = 1024;
const MAX_FINGERPRINT = 64;
const MAX_PROCESSES = 1000;
const MAX_NAMES = 1000;

/** Checks a hello; throws INVALID_ARGUMENT that names the field. */
export function parseHello(message: HelloMessage, vm: VmPrincipal): VmHello {
  checkId("hello.boot_id", message.bootId);
  checkId("hello.incarnation", message.incarnation);
  if (message.incarnationNumber < 1n)
    throw invalid("hello.incarnation_number", "hello.incarnation_number must be 1 or more");
  return {
    from: {
      tenantId: vm.tenantId,
      vmId: vm.id,
      bootId: message.bootId,
      incarnation: message.incarnationNumber,
      incarnationName: message.incarnation,
    },
    name: vm.name,
    keyThumbprint: vm.keyThumbprint,
    applied: message.applied.filter(isUsable).map((it) => ({
      agentId: it.agentId.toLowerCase(),
      generation: it.generation,
      fingerprint: it.fingerprint,
    })),
  };
}

/**
 * Takes from an update what can mean something. An entry that cannot (an id that is none, a
 * generation below 1) is about nothing that this service knows and is passed over.
 */
export function parseUpdate(message: UpdateMessage, from: VmIncarnation): VmUpdate {
  const acks = message.acks.filter(isUsable);
  const isApplied = ({ outcome }: Ack) => outcome === AckOutcome.ACK_OUTCOME_APPLIED;
  return {
    applied: acks.filter(isApplied).map((ack) => ({
      from,
      agentId: ack.agentId.toLowerCase(),
      generation: ack.generation,
      fingerprint: ack.fingerprint,
      omittedNames: ack.omittedNames.slice(0, MAX_NAMES).map(toText),
    })),
    failed: acks
      .filter((ack) => ack.outcome === AckOutcome.ACK_OUTCOME_FAILED)
      .map((ack) => ({
        from,
        agentId: ack.agentId.toLowerCase(),
        generation: ack.generation,
        reason: toText(ack.reason),
      })),
    reports: parseReports(message.agents, from),
  };
}

export function parseReports(agents: readonly AgentReport[], from: VmIncarnation): Report[] {
  return agents.flatMap((report) => {
    const phase = fromPhase(report.phase);
    if (!phase || !isUuid(report.agentId)) return [];
    return [
      {
        from,
        agentId: report.agentId.toLowerCase(),
        phase,
        exit: report.exitStatus && toExit(report.exitStatus),
        processes: report.processes
          .slice(0, MAX_PROCESSES)
          .map((process) => fromProcessMessage(process, toText)),
        reload: fromReloadMessage(report.reload, toText),
        health: fromHealthMessage(report.health, toText),
        adoption: fromAdoptionMessage(report.adoption, toText),
      },
    ];
  });
}

function isUsable(it: { agentId: string; generation: bigint; fingerprint: Buffer }): boolean {
  return isUuid(it.agentId) && it.generation > 0n && it.fingerprint.length <= MAX_FINGERPRINT;
}

function checkId(field: string, text: string): void {
  if (text === "" || text.length > MAX_ID_LENGTH || text.includes("\0"))
    throw invalid(field, `${field} must have 1 to ${MAX_ID_LENGTH} characters`);
}

/** Half of a character, as a cut leaves it: no JSON that PostgreSQL takes has one. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** PostgreSQL stores no NUL, and a text from a machine has no right to be long. */
function toText(text: string): string {
  return text.slice(0, MAX_TEXT).replaceAll("\0", "").replace(LONE_SURROGATE, "\uFFFD");
}

function toExit({ how }: ExitMessage): ExitStatus | undefined {
  return how && { kind: how.$case, value: toText(String(how.value)) };
}
