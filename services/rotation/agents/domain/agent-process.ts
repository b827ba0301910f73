import type { AgentProcess as ProcessMessage } from "../../../../gen/murmur/rotation/v1/agents";

/** One process of an agent, as its VM last reported it: plain JSON, as it is stored. */
export interface AgentProcess {
  pid: number;
  parentPid: number;
  name: string;
  /** The kernel's start time in clock ticks since boot, as a decimal number. */
  startTicks: string;
  /** Absent: it cannot be told. */
  receipt?: ProcessReceipt;
}

/** What a process says of itself. */
export interface ProcessReceipt {
  /** What it last took over, as a decimal number. */
  generation: string;
  layer: string;
  readsThrough: boolean;
  notAppliedNatively: boolean;
  /** ISO 8601. */
  firstUsedAt?: string;
  lastUsedBeforeAt?: string;
}

const MAX_LAYER_LENGTH = 32;

/** `toText` cuts a text from a machine to what can be stored. */
export function fromProcessMessage(
  message: ProcessMessage,
  toText: (text: string) => string,
): AgentProcess {
  const { pid, parentPid, name, startTicks } = message;
  const process = { pid, parentPid, name: toText(name), startTicks: String(startTicks) };
  if (message.generation <= 0n) return process;
  const { firstUsedAt, lastUsedBeforeAt } = message;
  const receipt: ProcessReceipt = {
    generation: String(message.generation),
    layer: toText(message.layer).slice(0, MAX_LAYER_LENGTH),
    readsThrough: message.readsThrough,
    notAppliedNatively: message.notAppliedNatively,
    ...(isDate(firstUsedAt) && { firstUsedAt: firstUsedAt.toISOString() }),
    ...(isDate(lastUsedBeforeAt) && { lastUsedBeforeAt: lastUsedBeforeAt.toISOString() }),
  };
  return { ...process, receipt };
}

/** The wire can carry times that a Date cannot. */
function isDate(time: Date | undefined): time is Date {
  return time !== undefined && !Number.isNaN(time.getTime());
}

export function toProcessMessage({ receipt, ...process }: AgentProcess): ProcessMessage {
  return {
    ...process,
    startTicks: BigInt(process.startTicks),
    generation: BigInt(receipt?.generation ?? 0),
    layer: receipt?.layer ?? "",
    readsThrough: receipt?.readsThrough ?? false,
    notAppliedNatively: receipt?.notAppliedNatively ?? false,
    firstUsedAt: toDate(receipt?.firstUsedAt),
    lastUsedBeforeAt: toDate(receipt?.lastUsedBeforeAt),
  };
}

function toDate(time: string | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
