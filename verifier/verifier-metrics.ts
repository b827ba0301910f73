import { type BatchObservableCallback, metrics } from "@opentelemetry/api";
import type { Clock } from "../lib/clock";
import type { ChangeLease } from "./change-lease";
import type { MemoryCounts } from "./shared-questions";

/** How much is answered from memory. Costs nothing until telemetry has been started. */
export interface VerifierMetrics {
  /** Shows them for as long as some work takes. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

interface Counting {
  readonly counts: Readonly<MemoryCounts>;
}

export function createVerifierMetrics(deps: {
  lease: Pick<ChangeLease, "isAlive">;
  credentials: Counting;
  people: Counting;
  clock: Clock;
}): VerifierMetrics {
  const { lease, credentials, people, clock } = deps;
  const meter = metrics.getMeter("murmur");
  const alive = meter.createObservableGauge("murmur.verifier.lease", {
    description: "1 while changes of credentials and people are heard of, else 0",
  });
  const remembered = meter.createObservableGauge("murmur.verifier.remembered", {
    description: "Answers that are remembered",
  });
  const asked = meter.createObservableCounter("murmur.verifier.asked", {
    description: "How often somebody was asked about, by whether the answer was remembered",
  });
  const all = [alive, remembered, asked];
  const observe: BatchObservableCallback = (result) => {
    result.observe(alive, lease.isAlive(clock.monotonicMs()) ? 1 : 0);
    for (const [of, { counts }] of Object.entries({ credentials, people })) {
      result.observe(remembered, counts.remembered, { of });
      result.observe(asked, counts.hits, { of, remembered: true });
      result.observe(asked, counts.misses, { of, remembered: false });
    }
  };
  return {
    async during(work) {
      meter.addBatchObservableCallback(observe, all);
      try {
        return await work();
      } finally {
        meter.removeBatchObservableCallback(observe, all);
      }
    },
  };
}
