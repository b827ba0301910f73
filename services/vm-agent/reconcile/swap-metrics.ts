import { metrics } from "@opentelemetry/api";

/** What an operator asks of a VM: how long does a swap take, and does it fail. */
export interface SwapMetrics {
  swapped(tookMs: number): void;
  failed(): void;
}

/** Counts nothing until telemetry has been started. */
export function createSwapMetrics(): SwapMetrics {
  const meter = metrics.getMeter("murmur");
  const duration = meter.createHistogram("murmur.vm.swap.duration", {
    unit: "ms",
    description: "From the news of a generation to its set being in force",
  });
  const failures = meter.createCounter("murmur.vm.swap.failures", {
    description: "Sets that could not be fetched, opened or swapped in",
  });
  return {
    swapped: (tookMs) => {
      duration.record(tookMs);
    },
    failed: () => {
      failures.add(1);
    },
  };
}
