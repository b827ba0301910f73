import type { ComingGeneration, WatchVmResponse } from "../../../gen/murmur/rotation/v1/vm_sync";
import { type Clock, systemClock } from "../../../lib/clock";
import { unavailable, type AppError } from "../../../lib/errors";
import type { Announcement, LocalAnnouncement } from "./announcement";
import { createForetold, type DesiredGeneration } from "./foretold";
import { createVmStream, type VmStream } from "./vm-stream";

/** Which VM. */
export interface VmRef {
  tenantId: string;
  vmId: string;
}

/** The streams of the VMs that are connected to this replica: one for each, the newest. */
export interface VmStreams {
  /** Opens a stream; one that the VM had before is closed. Read the state only after this. */
  register(vm: VmRef, send: (response: WatchVmResponse) => Promise<void>): VmStream;
  unregister(vm: VmRef, stream: VmStream): void;
  find(vm: VmRef): VmStream | undefined;
  /** The VMs that are connected here. */
  vms(): VmRef[];
  /** Tells the VM which generations it may get ahead: at once, or when it asks, if it asks soon. */
  foretell(vm: VmRef, coming: readonly ComingGeneration[]): void;
  /** What was foretold of these generations of a VM that asks instead of listening; given once. */
  takeForetold(vm: VmRef, desired: readonly DesiredGeneration[]): ComingGeneration[];
  /** Hands a change to the VM's stream, if it is here. */
  offer(announcement: LocalAnnouncement): void;
  heartbeat(watermarkAgeMs: number): void;
  close(vm: VmRef, reason: AppError): void;
  closeAll(reason: AppError): void;
  size(): number;
}

/** A VM that has not read for this long is cut off: it comes back and starts afresh. */
const MAX_STALL_MS = 10_000;

export function createVmStreams(clock: Pick<Clock, "monotonicMs"> = systemClock): VmStreams {
  const streams = new Map<string, VmStream>();
  const refs = new Map<VmStream, VmRef>();
  const foretold = createForetold(clock);
  const closeAll = (reason: AppError) => {
    for (const stream of streams.values()) stream.close(reason);
  };
  return {
    register(vm, send) {
      const stream = createVmStream(send, clock);
      streams.get(keyOf(vm))?.close(unavailable("the VM opened another stream", undefined, 0));
      streams.set(keyOf(vm), stream);
      refs.set(stream, { tenantId: vm.tenantId, vmId: vm.vmId });
      return stream;
    },
    unregister(vm, stream) {
      refs.delete(stream);
      if (streams.get(keyOf(vm)) === stream) streams.delete(keyOf(vm));
    },
    find: (vm) => streams.get(keyOf(vm)),
    vms: () => [...streams.values()].flatMap((stream) => refs.get(stream) ?? []),
    foretell(vm, coming) {
      const stream = streams.get(keyOf(vm));
      if (stream) stream.foretell(coming);
      else foretold.keep(keyOf(vm), coming);
    },
    takeForetold: (vm, desired) => foretold.take(keyOf(vm), desired),
    offer(announcement) {
      streams.get(keyOf(announcement))?.offer(announcement.agents, announcement.traceparent);
    },
    heartbeat(watermarkAgeMs) {
      for (const stream of streams.values()) {
        if (stream.stalledMs() > MAX_STALL_MS)
          stream.close(unavailable("the VM does not read its stream", undefined, 0));
        else stream.heartbeat(watermarkAgeMs);
      }
    },
    close: (vm, reason) => streams.get(keyOf(vm))?.close(reason),
    closeAll,
    size: () => streams.size,
  };
}

function keyOf(vm: VmRef | Announcement): string {
  return `${vm.tenantId}/${vm.vmId}`;
}
