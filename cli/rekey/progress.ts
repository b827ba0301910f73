import { type Clock } from "../../lib/clock";
import { type LiveBlock } from "../output/live-block";
import { printable } from "../output/printable";
import { canaryWords } from "./canary";
import { laggardLine, laggards } from "./targets";
import { type RolloutView } from "./watch-rollout";

const REDRAW_MS = 100;
const MAX_LAGGARDS = 6;

export interface Progress {
  show(view: RolloutView): void;
  /** Takes it off the screen. Calling twice is fine. */
  stop(): void;
}

/** Keeps how far a rollout is at the foot of a terminal; `what` is `Rekeying fix-auth`. */
export function startProgress(live: LiveBlock, clock: Clock, what: string): Progress {
  if (!live.isLive) return { show: () => undefined, stop: () => undefined };
  const startMs = clock.monotonicMs();
  let view: RolloutView | undefined;
  const draw = () => {
    live.show(progressLines(what, view, clock.monotonicMs() - startMs));
  };
  const timer = setInterval(draw, REDRAW_MS);
  draw();
  return {
    show(next) {
      view = next;
      draw();
    },
    stop() {
      clearInterval(timer);
      live.clear();
    },
  };
}

/** The lines: how many have acked, for how long it runs, and who is late, with the reason. */
export function progressLines(
  what: string,
  view: RolloutView | undefined,
  elapsedMs: number,
): string[] {
  const seconds = `${(elapsedMs / 1_000).toFixed(1)} s`;
  if (!view) return [printable(`${what}: asking, ${seconds}`)];
  const late = laggards(view.targets);
  const total = view.targets.length;
  const head = printable(`${what}: ${total - late.length} of ${total} agents, ${seconds}`);
  const more = late.length - MAX_LAGGARDS;
  const { canary } = view.rollout;
  return [
    head,
    ...(canary ? [printable(`  canary: ${canaryWords(canary)}`)] : []),
    ...late.slice(0, MAX_LAGGARDS).map(laggardLine),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}
