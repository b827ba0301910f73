import type { Tx } from "../../../lib/postgres/db";
import type { LaunchableAgent } from "../agents/domain/agent";
import { announce, type LocalAnnouncement } from "./announcement";
import { appendToOutbox } from "./outbox";
import type { VmStreams } from "./vm-streams";

/** A generation that exists, and whose agent is about to be told to take it. */
export interface Coming {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
  /** What the catalog sealed for the VM; may be empty. */
  sealedAhead: Buffer;
}

/** Tells VMs of changes of their desired state: durably, and at once where they are connected here. */
export interface Announcer {
  /**
   * Call it before the transaction of a change: the VMs of this replica get what they will need
   * while it runs, and have it when it commits. If it never does, they drop it.
   */
  foretell(coming: readonly Coming[]): void;
  /** Writes the announcements in the transaction that makes the change. */
  record(
    tx: Tx,
    rotationId: string,
    agents: readonly LaunchableAgent[],
  ): Promise<readonly LocalAnnouncement[]>;
  /** Call it right after the commit: the VMs of this replica hear of the change before anybody. */
  deliver(announcements: readonly LocalAnnouncement[]): void;
  /** Whether this replica's streams have been handed this event; asked once, when the tail meets it. */
  takeDelivered(eventId: string): boolean;
}

export interface AnnouncerDeps {
  streams: VmStreams;
  /** Wakes who else waits for the outbox. */
  nudge: () => void;
}

/** How many events are remembered until the tail meets them; beyond it they are delivered twice. */
const MAX_REMEMBERED = 10_000;

export function createAnnouncer({ streams, nudge }: AnnouncerDeps): Announcer {
  const delivered = new Set<string>();
  return {
    foretell(coming) {
      const byVm = new Map<string, Coming[]>();
      for (const one of coming) {
        const key = `${one.tenantId}/${one.vmId}`;
        const ofVm = byVm.get(key);
        if (ofVm) ofVm.push(one);
        else byVm.set(key, [one]);
      }
      for (const ofVm of byVm.values()) if (ofVm[0]) streams.foretell(ofVm[0], ofVm);
    },
    async record(tx, rotationId, agents) {
      const announcements = announce(rotationId, agents);
      await appendToOutbox(tx, announcements);
      return announcements;
    },
    deliver(announcements) {
      for (const announcement of announcements) streams.offer(announcement);
      if (delivered.size > MAX_REMEMBERED) delivered.clear();
      for (const { eventId } of announcements) delivered.add(eventId);
      nudge();
    },
    takeDelivered: (eventId) => delivered.delete(eventId),
  };
}
