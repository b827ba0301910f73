import type { VmContact } from "../../rollouts/domain/rollout";

/** How long after a replica's last beat its streams still count as open. */
const BEAT_FRESH = `interval '5 seconds'`;
/** How long a VM that calls from time to time counts as connected: two rounds of its timer. */
const SYNC_FRESH = `interval '90 seconds'`;

/** Joins the VM of the agent `a` as `v`, and the replica by which it is connected as `p`. */
export const JOIN_VM = `
  left join rotation.vms v on v.tenant_id = a.tenant_id and v.vm_id = a.vm_id
  left join rotation.replicas p on p.replica_id = v.replica_id`;

const ON_STREAM = `coalesce(
  v.stream_id is not null and p.beat_at > clock_timestamp() - ${BEAT_FRESH}, false)`;

/** Columns of `v` and `p` that make a VmContact. */
export const CONTACT_COLUMNS = `
  v.vm_id is not null and v.name <> '' as vm_seen,
  v.removed_at is not null as vm_removed,
  case when ${ON_STREAM} then greatest(v.last_seen_at, p.beat_at) else v.last_seen_at end
    as vm_last_seen_at,
  ${ON_STREAM} as vm_on_stream,
  v.removed_at is null and (${ON_STREAM} or coalesce(v.last_contact = 'sync'
    and v.last_seen_at > clock_timestamp() - ${SYNC_FRESH}, false)) as vm_connected`;

export interface ContactRow {
  vm_seen: boolean;
  vm_removed: boolean;
  vm_last_seen_at: Date | null;
  vm_on_stream: boolean;
  vm_connected: boolean;
}

export function toContact(row: ContactRow): VmContact {
  const isSeen = row.vm_seen ? "offline" : "never-seen";
  return {
    state: row.vm_connected ? "connected" : row.vm_removed ? "offline" : isSeen,
    removed: row.vm_removed,
    lastSeenAt: row.vm_last_seen_at ?? undefined,
  };
}
