import type { Tx } from "../../../lib/postgres/db";
import type { LaunchableAgent } from "../agents/domain/agent";
import { announce, type LocalAnnouncement } from "./announcement";
import { appendToOutbox } from "./outbox";
import type { VmStreams } from "./vm-streams";

/** Tells VMs of changes of their desired state: durably, and at once where they are connected here. */
export interface Announcer {
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
