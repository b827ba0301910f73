import { type Log } from "../../../lib/log";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { isLostRace } from "../../../lib/postgres/errors";
import { retry } from "../../../lib/retry";
import type { VmStreams } from "../announce/vm-streams";
import type { FleetMetrics } from "../metrics/fleet-metrics";
import { isTerminal } from "../protocol";
import type { RolloutSignals } from "../rollouts/rollout-signals";
import { createBatcher } from "./batcher";
import {
  MISMATCH_REASON,
  type AppliedAck,
  type FailedAck,
  type Report,
  type RolloutRef,
  type VmHello,
} from "./domain/evidence";
import type { EvidenceStore, VmConnection } from "./store/evidence-store";

/** What a VM says in one message, checked. */
export interface VmUpdate {
  applied: readonly AppliedAck[];
  failed: readonly FailedAck[];
  reports: readonly Report[];
}

/** Takes in what VMs say, from streams and calls alike. */
export interface Intake {
  hello(hello: VmHello, connection: VmConnection): Promise<void>;
  /** Durable when it resolves. */
  update(update: VmUpdate): Promise<void>;
}

export interface IntakeDeps {
  pool: Pool;
  evidence: EvidenceStore;
  signals: Pick<RolloutSignals, "changed">;
  streams: Pick<VmStreams, "find">;
  /** Told how long acks took. */
  metrics?: Pick<FleetMetrics, "acked">;
  log: Log;
}

const MAX_BATCH = 1000;
const RETRY_RACES_MS = 3_000;

export function createIntake(deps: IntakeDeps): Intake {
  const { pool, evidence, log } = deps;
  const tell = (rollouts: readonly RolloutRef[]) => {
    for (const rollout of rollouts) deps.signals.changed(rollout);
  };
  const applied = createBatcher<AppliedAck>(async (acks) => {
    const newest = newestPerAgent(acks);
    const { rollouts, mismatches } = await withRaces(() => evidence.recordApplied(pool, newest));
    tell(rollouts);
    for (const { settled, afterMs } of rollouts) deps.metrics?.acked(settled, afterMs);
    if (mismatches.length === 0) return;
    for (const mismatch of mismatches)
      log.error("ALARM: a VM acked a set that the catalog did not make", { ...mismatch });
    tell(await evidence.recordFailed(pool, toFailures(newest, mismatches)));
  }, MAX_BATCH);
  const failed = createBatcher<FailedAck>(async (acks) => {
    tell(await withRaces(() => evidence.recordFailed(pool, newestPerAgent(acks))));
  }, MAX_BATCH);
  const reports = createBatcher<Report>(async (batch) => {
    const latest = [...new Map(batch.map((report) => [keyOf(report), report])).values()];
    tell(await withTransactionRetry(pool, (tx) => evidence.recordReports(tx, latest)));
    for (const { from, agentId, phase } of latest)
      if (isTerminal(phase)) deps.streams.find(from)?.forget([agentId]);
  }, MAX_BATCH);

  return {
    async hello(hello, connection) {
      tell(await withTransactionRetry(pool, (tx) => recordHello(deps, tx, hello, connection)));
    },
    async update(update) {
      await Promise.all([
        applied.submit(update.applied),
        failed.submit(update.failed),
        reports.submit(update.reports),
      ]);
    },
  };
}

function withRaces<T>(attempt: () => Promise<T>): Promise<T> {
  return retry(attempt, {
    deadlineMs: RETRY_RACES_MS,
    initialMs: 5,
    maxMs: 100,
    shouldRetry: isLostRace,
  });
}

function keyOf(item: { from: { tenantId: string; vmId: string }; agentId: string }): string {
  return `${item.from.tenantId}/${item.from.vmId}/${item.agentId}`;
}

/** A store takes one ack of an agent at a time; the one of its newest generation says all. */
function newestPerAgent<A extends AppliedAck | FailedAck>(acks: readonly A[]): A[] {
  const newest = new Map<string, A>();
  for (const ack of acks) {
    const known = newest.get(keyOf(ack));
    if (!known || ack.generation >= known.generation) newest.set(keyOf(ack), ack);
  }
  return [...newest.values()];
}

function toFailures(
  acks: readonly AppliedAck[],
  mismatches: readonly { tenantId: string; vmId: string; agentId: string }[],
): FailedAck[] {
  const wrong = new Set(
    mismatches.map(({ tenantId, vmId, agentId }) => keyOf({ from: { tenantId, vmId }, agentId })),
  );
  return acks
    .filter((ack) => wrong.has(keyOf(ack)))
    .map(({ from, agentId, generation }) => ({
      from,
      agentId,
      generation,
      reason: MISMATCH_REASON,
    }));
}

/** What is believed is replaced, and what stands closes targets. */
async function recordHello(
  { evidence }: IntakeDeps,
  tx: Tx,
  hello: VmHello,
  connection: VmConnection,
): Promise<RolloutRef[]> {
  const agents = await evidence.recordHello(tx, hello, connection);
  const standing = agents.filter((agent) => agent.applied > 0n);
  return evidence.closeSatisfied(
    tx,
    standing.map((agent) => ({ tenantId: agent.tenantId, agentId: agent.id, omittedNames: [] })),
  );
}
