import type { Tx } from "../../../lib/postgres/db";
import type { Outbox } from "../../../lib/postgres/outbox";
import type { Announcement } from "./announcement";

/** A row of `rotation.outbox`, beyond the columns of every outbox. */
export interface OutboxRow {
  event_id: string;
  rotation_id: string;
  tenant_id: string;
  vm_id: string;
  targets: [agentId: string, generation: string][];
  traceparent: string;
}

export const ROTATION_OUTBOX: Outbox<OutboxRow> = {
  schema: "rotation",
  columns: ["event_id", "rotation_id", "tenant_id", "vm_id", "targets", "traceparent"],
};

export function toAnnouncement(row: OutboxRow): Announcement {
  return {
    eventId: row.event_id,
    rotationId: row.rotation_id,
    tenantId: row.tenant_id,
    vmId: row.vm_id,
    targets: row.targets.map(([agentId, generation]) => ({
      agentId,
      generation: BigInt(generation),
    })),
    traceparent: row.traceparent,
  };
}

/** Writes announcements in the transaction that makes them true. */
export async function appendToOutbox(
  tx: Tx,
  announcements: readonly Announcement[],
): Promise<void> {
  if (announcements.length === 0) return;
  await tx.query(insertIntoOutbox(1), outboxParams(announcements), { name: "append_to_outbox" });
}

/**
 * The insert itself, for a statement that does more; it takes `outboxParams` from `$first` on and
 * writes nothing unless the condition holds.
 */
export function insertIntoOutbox(first: number, condition = "true"): string {
  const at = (offset: number) => `$${first + offset}`;
  return `insert into rotation.outbox
       (event_id, rotation_id, tenant_id, vm_id, targets, traceparent)
     select event.* from unnest(${at(0)}::uuid[], ${at(1)}::text[], ${at(2)}::text[],
       ${at(3)}::text[], ${at(4)}::jsonb[], ${at(5)}::text[]) as event
     where ${condition}`;
}

/** Six parameters. */
export function outboxParams(announcements: readonly Announcement[]): unknown[] {
  return [
    announcements.map(({ eventId }) => eventId),
    announcements.map(({ rotationId }) => rotationId),
    announcements.map(({ tenantId }) => tenantId),
    announcements.map(({ vmId }) => vmId),
    announcements.map(({ targets }) => toJson(targets)),
    announcements.map(({ traceparent }) => traceparent),
  ];
}

/** Generations as texts: JSON numbers end at 2^53. */
function toJson(targets: Announcement["targets"]): string {
  return JSON.stringify(targets.map(({ agentId, generation }) => [agentId, String(generation)]));
}
