import { relativeTime } from "../output/relative-time";
import { type AdoptionView } from "./agent-view";

/** `pid 4711 (node, started 3 hours ago)`. */
export function processWords({ pid, name, startedAt }: AdoptionView, now: Date): string {
  return `pid ${pid} (${name}, started ${relativeTime(startedAt, now)})`;
}
