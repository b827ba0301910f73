import { metrics } from "@opentelemetry/api";
import type { CaseEnd } from "./domain/evidence-case";

/** Counts of this replica; they cost nothing until telemetry has been started. */
export interface EvidenceMetrics {
  alarm(percent: number): void;
  ended(how: CaseEnd): void;
}

export function createEvidenceMetrics(): EvidenceMetrics {
  const meter = metrics.getMeter("murmur");
  const alarms = meter.createCounter("murmur.rotation.evidence_alarms", {
    description: "Alarms that name who still holds the old value of a credential",
  });
  const ends = meter.createCounter("murmur.rotation.evidence_ended", {
    description: "Rotations with evidence that are over, by what ended the old value",
  });
  return {
    alarm: (percent) => {
      alarms.add(1, { percent });
    },
    ended: (how) => {
      ends.add(1, { by: how });
    },
  };
}
