import { metrics, type BatchObservableCallback } from "@opentelemetry/api";
import type { Log } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";
import { type FleetState, readFleetState } from "./fleet-state";

export interface FleetMetricsDeps {
  db: Db;
  log: Log;
}

/** Metrics of rotation. They count nothing, and cost nothing, until telemetry has been started. */
export interface FleetMetrics {
  /** Targets of a rollout were acked, so long after it was accepted, by the database's clock. */
  acked(targets: number, afterMs: number): void;
  /** Gauges of the whole installation, read when they are exported; each replica shows the same. */
  run(signal: AbortSignal): Promise<void>;
}

const GAUGES: Record<keyof FleetState, { name: string; unit?: string; description: string }> = {
  agents: { name: "agents", description: "Living agents" },
  agentsBehind: {
    name: "agents.behind",
    description: "Living agents that have not acked the generation that they should be on",
  },
  vms: { name: "vms", description: "VMs that were not removed" },
  vmsAway: { name: "vms.away", description: "VMs not heard of for a minute" },
  rolloutsOpen: { name: "rollouts.open", description: "Rollouts that wait for acks" },
  oldestRolloutSeconds: {
    ...{ name: "rollouts.oldest", unit: "s" },
    description: "Age of the oldest rollout that waits for acks",
  },
  oldestEventSeconds: {
    ...{ name: "outbox.oldest", unit: "s" },
    description: "Age of the oldest event that Kafka has not got",
  },
  oldestWriterSeconds: {
    ...{ name: "database.oldest_writer", unit: "s" },
    description: "Age of the oldest writing transaction, behind which the outbox waits",
  },
};

export function createFleetMetrics({ db, log }: FleetMetricsDeps): FleetMetrics {
  const meter = metrics.getMeter("murmur");
  const propagation = meter.createHistogram("murmur.rotation.propagation", {
    unit: "ms",
    description: "From a rollout's acceptance to the ack of a target",
  });
  const gauges = Object.entries(GAUGES).map(([key, { name, ...options }]) => ({
    key: key as keyof FleetState,
    gauge: meter.createObservableGauge(`murmur.rotation.${name}`, options),
  }));
  const observe: BatchObservableCallback = async (result) => {
    try {
      const state = await readFleetState(db);
      for (const { key, gauge } of gauges) result.observe(gauge, state[key]);
    } catch (error) {
      log.warn("the state of the fleet could not be read for metrics", { error });
    }
  };
  return {
    acked(targets, afterMs) {
      for (let i = 0; i < targets; i++) propagation.record(afterMs);
    },
    run(signal) {
      const observed = gauges.map(({ gauge }) => gauge);
      meter.addBatchObservableCallback(observe, observed);
      return new Promise((resolve) => {
        const stop = () => {
          meter.removeBatchObservableCallback(observe, observed);
          resolve();
        };
        if (signal.aborted) stop();
        else signal.addEventListener("abort", stop, { once: true });
      });
    },
  };
}
