import type { Db } from "../../../../lib/postgres/db";
import {
  AGENT_COLUMNS,
  fromLaunchRow,
  IS_LIVING,
  JOIN_DESIRED,
  LAUNCH_COLUMNS,
  type LaunchRow,
} from "../../agents/store/agent-row";
import type { VmHello } from "../domain/evidence";
import type { DesiredOfKnown } from "./evidence-store";

type Nullable<T> = { [K in keyof T]: T[K] | null };

/** A living agent of the VM; all null when it has none. */
type Row = Nullable<LaunchRow> & {
  /** Whether the hello claims what is believed, and no target waits for just that. */
  is_settled: boolean | null;
};

/**
 * One statement that writes nothing, since a VM that was woken waits for it. It answers only where `recordHello` would
 * change nothing but the time of the contact: the same life of the same machine, which claims just
 * what is believed.
 */
export async function desiredOfKnown(db: Db, hello: VmHello): Promise<DesiredOfKnown> {
  const { from, applied } = hello;
  const { rows } = await db.query<Row>(
    `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS},
       case when a.applied = 0 then c.agent_id is null
         else c.generation = a.applied and s.fingerprint = c.fingerprint end
       and not exists (
         select from rotation.targets t
         where t.tenant_id = a.tenant_id and t.agent_id = a.agent_id
           and t.state in ('pending', 'failed') and t.generation <= a.applied
       ) as is_settled
     from rotation.vms v
     left join rotation.agents a on a.tenant_id = $1 and a.vm_id = $2 and ${IS_LIVING}
     ${JOIN_DESIRED}
     left join unnest($8::uuid[], $9::bigint[], $10::bytea[])
       as c(agent_id, generation, fingerprint) on c.agent_id = a.agent_id
     left join rotation.generations s
       on s.tenant_id = a.tenant_id and s.agent_id = a.agent_id and s.generation = a.applied
     where v.tenant_id = $1 and v.vm_id = $2 and v.name = $3 and v.key_thumbprint = $4
       and v.boot_id = $5 and v.incarnation = $6 and v.incarnation_number = $7
       and v.removed_at is null and v.key_thumbprint <> all(v.ended_keys)
     order by a.path, a.agent_id`,
    [
      ...[from.tenantId, from.vmId, hello.name, hello.keyThumbprint],
      ...[from.bootId, from.incarnationName, from.incarnation],
      applied.map(({ agentId }) => agentId),
      applied.map(({ generation }) => generation),
      applied.map(({ fingerprint }) => fingerprint),
    ],
    { name: "desired_of_known_vm" },
  );
  if (rows.length === 0) return "another life";
  const agents = rows.filter(isAgent);
  if (!agents.every(({ is_settled }) => is_settled)) return "news";
  return agents.filter(({ desired }) => desired > 0n).map(fromLaunchRow);
}

function isAgent(row: Row): row is Row & LaunchRow {
  return row.agent_id !== null;
}
