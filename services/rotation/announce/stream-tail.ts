import type { Clock } from "../../../lib/clock";
import { type Log, silentLog } from "../../../lib/log";
import { createOutboxTail } from "../../../lib/postgres/outbox-tail";
import { isTerminal } from "../protocol";
import type { Announcement } from "./announcement";
import type { Announcer } from "./announcer";
import { ROTATION_OUTBOX, toAnnouncement } from "./outbox";
import type { VmRef, VmStreams } from "./vm-streams";
import { sendWholeState, type WholeStateDeps } from "./whole-state";

export interface StreamTailDeps extends WholeStateDeps {
  streams: VmStreams;
  announcer: Pick<Announcer, "takeDelivered">;
  clock?: Clock;
  log?: Log;
}

/** Hands what other replicas have announced to the streams of this one. */
export interface StreamTail {
  /** How old this replica's view is, milliseconds. */
  watermarkAgeMs(): number;
  /** Whether a VM is better served by another replica: this one would be silent without a sign. */
  isBehind(): boolean;
  run(signal: AbortSignal): Promise<void>;
}

const MAX_AGE_MS = 2_000;
/** How many VMs are told their whole state at once after a gap. */
const REFRESH_AT_ONCE = 8;

export function createStreamTail(deps: StreamTailDeps): StreamTail {
  const { log = silentLog } = deps;
  const tail = createOutboxTail({
    db: deps.db,
    outbox: ROTATION_OUTBOX,
    onEntries: (entries) =>
      handOver(
        deps,
        entries.map(({ row }) => toAnnouncement(row)),
      ),
    onReset: (why) => (why === "started" ? undefined : refreshAll(deps)),
    log,
    ...(deps.clock && { clock: deps.clock }),
  });
  return {
    watermarkAgeMs: () => tail.watermarkAgeMs(),
    isBehind: () => tail.watermarkAgeMs() > MAX_AGE_MS,
    run: (signal) => tail.run(signal),
  };
}

/** Changes are read anew: an announcement says where to look, not what is there. */
async function handOver(
  { streams, announcer, agents }: StreamTailDeps,
  announcements: readonly Announcement[],
): Promise<void> {
  const mine = announcements.filter(
    (it) => !announcer.takeDelivered(it.eventId) && streams.find(it) !== undefined,
  );
  if (mine.length === 0) return;
  const named = mine.flatMap((it) =>
    it.targets.map(({ agentId }) => ({ tenantId: it.tenantId, agentId })),
  );
  const current = await agents.desiredOf(
    named.map(({ tenantId }) => tenantId),
    named.map(({ agentId }) => agentId),
  );
  for (const announcement of mine) {
    const { tenantId, vmId, targets } = announcement;
    const ids = new Set(targets.map(({ agentId }) => agentId));
    const ofVm = current.filter(
      (agent) =>
        agent.tenantId === tenantId &&
        agent.vmId === vmId &&
        ids.has(agent.id) &&
        !isTerminal(agent.phase),
    );
    if (ofVm.length > 0) streams.offer({ ...announcement, agents: ofVm });
  }
}

/** Rows may have been missed: every VM is told its whole state anew. */
async function refreshAll(deps: StreamTailDeps): Promise<void> {
  const vms = deps.streams.vms();
  const worker = async () => {
    for (let vm = vms.pop(); vm; vm = vms.pop()) await refresh(deps, vm);
  };
  await Promise.all(Array.from({ length: REFRESH_AT_ONCE }, worker));
}

async function refresh(deps: StreamTailDeps, vm: VmRef): Promise<void> {
  const stream = deps.streams.find(vm);
  if (!stream) return;
  stream.hold();
  await sendWholeState(deps, vm, stream);
}
