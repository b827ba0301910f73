import { type ProcessView } from "./agent-view";

/** A process as `--json` shows it; `null` where it cannot be told. */
export function processToJson(process: ProcessView) {
  return {
    pid: process.pid,
    parent_pid: process.parentPid,
    name: process.name,
    generation: process.generation || null,
    layer: process.layer || null,
    reads_through: process.readsThrough,
    not_applied_natively: process.notAppliedNatively,
    first_used_at: process.firstUsedAt,
    last_used_before_at: process.lastUsedBeforeAt,
  };
}
