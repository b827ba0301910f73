import type { Db } from "../../../lib/postgres/db";
import { IS_LIVING } from "../agents/store/agent-row";

/** What an operator asks of the whole installation, at one moment. */
export interface FleetState {
  /** Living agents. */
  agents: number;
  /** Those whose VM has not acked the generation that they should be on. */
  agentsBehind: number;
  vms: number;
  /** Not heard of for a minute. */
  vmsAway: number;
  rolloutsOpen: number;
  /** Age of the oldest open rollout; 0: none is open. */
  oldestRolloutSeconds: number;
  /** Age of the oldest event that Kafka has not got; 0: none waits, or nobody publishes. */
  oldestEventSeconds: number;
  /** How long the oldest writer of the cluster holds the outbox's readers up. */
  oldestWriterSeconds: number;
}

const SECONDS_SINCE = (time: string) =>
  `coalesce(extract(epoch from clock_timestamp() - ${time}), 0)::float8`;

/** One look, by the database's clock. */
export async function readFleetState(db: Db): Promise<FleetState> {
  const { rows } = await db.query<Record<keyof FleetState, string | number>>(
    `select
       (select count(*) from rotation.agents a where ${IS_LIVING}) as "agents",
       (select count(*) from rotation.agents a where ${IS_LIVING} and a.applied < a.desired)
         as "agentsBehind",
       (select count(*) from rotation.vms where removed_at is null) as "vms",
       (select count(*) from rotation.vms v left join rotation.replicas r using (replica_id)
         where v.removed_at is null
           and greatest(v.last_seen_at, r.beat_at) < clock_timestamp() - interval '1 minute')
         as "vmsAway",
       (select count(*) from rotation.rollouts where open_targets > 0) as "rolloutsOpen",
       (select ${SECONDS_SINCE("min(accepted_at)")} from rotation.rollouts where open_targets > 0)
         as "oldestRolloutSeconds",
       (select ${SECONDS_SINCE("min(o.at)")} from rotation.outbox_publisher p
         join rotation.outbox o on (o.xid, o.id) > (p.cursor_xid, p.cursor_id))
         as "oldestEventSeconds",
       (select ${SECONDS_SINCE("min(xact_start)")} from pg_stat_activity
         where backend_xid is not null) as "oldestWriterSeconds"`,
    [],
    { name: "read_fleet_state" },
  );
  const [row] = rows;
  if (!row) throw new Error("a query without a from clause has a row");
  const numbers = Object.entries(row).map(([name, value]) => [name, Number(value)]);
  return Object.fromEntries(numbers) as FleetState;
}
