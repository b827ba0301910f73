import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Agent } from "../../agents/domain/agent";
import { AGENT_COLUMNS, fromRow, IS_LIVING, type AgentRow } from "../../agents/store/agent-row";
import type { VmContact } from "../../rollouts/domain/rollout";
import { CONTACT_COLUMNS, JOIN_VM, toContact, type ContactRow } from "./contact";
import { desiredOfKnown } from "./desired-of-known";
import type { EvidenceStore, VmStatus, VmStore } from "./evidence-store";
import { recordApplied, recordFailed } from "./postgres-acks";
import { recordHello } from "./postgres-hello";
import { recordReports } from "./postgres-reports";
import { closeSatisfied, skipTargets } from "./settle-targets";

/** Keeps what VMs say in `rotation.agents`, `rotation.targets` and `rotation.vms`. */
export const postgresEvidenceStore: EvidenceStore = {
  recordApplied,
  recordFailed,
  recordReports,
  closeSatisfied,
  skipTargets,
  recordHello,
};

/** Keeps VMs in `rotation.vms` and replicas in `rotation.replicas`. */
export function createPostgresVmStore(db: Db): VmStore {
  return {
    desiredOfKnown: (hello) => desiredOfKnown(db, hello),
    async touch({ tenantId, vmId }) {
      await db.query(
        `update rotation.vms set last_seen_at = clock_timestamp(),
           last_contact = case when stream_id is null then 'sync' else last_contact end
         where tenant_id = $1 and vm_id = $2`,
        [tenantId, vmId],
        { name: "touch_vm" },
      );
    },
    async disconnect({ tenantId, vmId }, streamId) {
      await db.query(
        `update rotation.vms set stream_id = null, last_seen_at = clock_timestamp()
         where tenant_id = $1 and vm_id = $2 and stream_id = $3`,
        [tenantId, vmId, streamId],
        { name: "disconnect_vm" },
      );
    },
    async beat(replicaId) {
      await db.query(
        `insert into rotation.replicas (replica_id) values ($1)
         on conflict (replica_id) do update set beat_at = clock_timestamp()`,
        [replicaId],
        { name: "beat" },
      );
    },
    contactOf: (tenantId, vmId) => contactOf(db, tenantId, vmId),
    listStatuses: (tenantId) => listStatuses(db, tenantId),
    async removalsCursor() {
      const { rows } = await db.query<{ sequence: bigint }>(
        `select sequence from rotation.removals_cursor`,
      );
      return rows[0]?.sequence ?? 0n;
    },
    async moveRemovalsCursor(sequence) {
      await db.query(
        `update rotation.removals_cursor set sequence = greatest(sequence, $1::bigint)`,
        [sequence],
      );
    },
    remove,
  };
}

interface StatusRow extends ContactRow {
  vm_id: string;
  name: string;
  living: number;
  behind: number;
}

async function listStatuses(db: Db, tenantId: string): Promise<VmStatus[]> {
  const { rows } = await db.query<StatusRow>(
    `select v.vm_id, v.name, ${CONTACT_COLUMNS}, c.living, c.behind
     from rotation.vms v
     left join rotation.replicas p on p.replica_id = v.replica_id
     cross join lateral (
       select count(*)::integer as living,
         (count(*) filter (where a.applied < a.desired))::integer as behind
       from rotation.agents a
       where a.tenant_id = v.tenant_id and a.vm_id = v.vm_id and ${IS_LIVING}
     ) c
     where v.tenant_id = $1 and v.removed_at is null and v.name <> ''
     order by v.name collate "C", v.vm_id`,
    [tenantId],
  );
  return rows.map((row) => ({
    vmId: row.vm_id,
    name: row.name,
    lastSeenAt: row.vm_last_seen_at ?? undefined,
    connected: row.vm_on_stream,
    living: row.living,
    behind: row.behind,
  }));
}

async function contactOf(db: Db, tenantId: string, vmId: string): Promise<VmContact> {
  const { rows } = await db.query<ContactRow>(
    `select ${CONTACT_COLUMNS} from (values ($1::text, $2::text)) as a(tenant_id, vm_id) ${JOIN_VM}`,
    [tenantId, vmId],
  );
  const [row] = rows;
  return row ? toContact(row) : { state: "never-seen", removed: false, lastSeenAt: undefined };
}

/** A VM that never said hello gets a row, too, without a name: it may have a token still. */
async function remove(tx: Tx, tenantId: string, vmId: string): Promise<Agent[]> {
  await tx.query(
    `insert into rotation.vms as v (tenant_id, vm_id, name, key_thumbprint, boot_id, incarnation,
       incarnation_number, last_contact, removed_at)
     values ($1, $2, '', '', '', '', 0, 'sync', clock_timestamp())
     on conflict (tenant_id, vm_id) do update
     set removed_at = coalesce(v.removed_at, clock_timestamp()), stream_id = null`,
    [tenantId, vmId],
  );
  const { rows } = await tx.query<AgentRow>(
    `select ${AGENT_COLUMNS} from rotation.agents a
     where a.tenant_id = $1 and a.vm_id = $2 and ${IS_LIVING}
     order by a.agent_id for update of a`,
    [tenantId, vmId],
  );
  return rows.map(fromRow);
}
