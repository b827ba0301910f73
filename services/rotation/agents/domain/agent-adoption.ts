import type { Adoption, AgentSettings } from "../../../../gen/murmur/rotation/v1/agents";

/** What an adopted process can use, as its VM reported it: plain JSON, as it is stored. */
export interface AgentAdoption {
  pid: number;
  /** The kernel's start time in clock ticks since boot, as a decimal number. */
  startTicks: string;
  name: string;
  /** ISO 8601. */
  startedAt?: string;
  directory: string;
  canUse: readonly string[];
  cannotUse: readonly string[];
}

const MAX_SENTENCES = 16;
/** The most that Linux hands out; 1 is the machine's own. */
const MAX_PID = 4_194_304;

/** Undefined for what means nothing. `toText` cuts a text from a machine to what can be stored. */
export function fromAdoptionMessage(
  message: Adoption | undefined,
  toText: (text: string) => string,
): AgentAdoption | undefined {
  if (!message || !isPid(message.pid)) return undefined;
  const { pid, startTicks, startedAt } = message;
  const isDate = startedAt !== undefined && !Number.isNaN(startedAt.getTime());
  return {
    ...{ pid, startTicks: String(startTicks), name: toText(message.name) },
    directory: toText(message.directory),
    canUse: message.canUse.slice(0, MAX_SENTENCES).map(toText),
    cannotUse: message.cannotUse.slice(0, MAX_SENTENCES).map(toText),
    ...(isDate && { startedAt: startedAt.toISOString() }),
  };
}

export function toAdoptionMessage(adoption: AgentAdoption | undefined): Adoption | undefined {
  return (
    adoption && {
      ...adoption,
      startTicks: BigInt(adoption.startTicks),
      startedAt: adoption.startedAt === undefined ? undefined : new Date(adoption.startedAt),
      canUse: [...adoption.canUse],
      cannotUse: [...adoption.cannotUse],
    }
  );
}

/** Whether these settings name a process that can be adopted, or none. */
export function isAdoptable({ adopt }: AgentSettings): boolean {
  return !adopt || (isPid(adopt.pid) && adopt.startTicks >= 0n);
}

/** Notes when it was asked for, whatever the caller said of that: see AdoptProcess.asked_at. */
export function stampAdoption(
  settings: AgentSettings | undefined,
  now: Date,
): AgentSettings | undefined {
  return settings?.adopt ? { ...settings, adopt: { ...settings.adopt, askedAt: now } } : settings;
}

function isPid(pid: number): boolean {
  return pid > 1 && pid <= MAX_PID;
}
