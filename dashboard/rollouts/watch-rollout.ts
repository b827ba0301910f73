import { useEffect, useState } from "preact/hooks";
import type { Rollout, RolloutTarget } from "./rollout";

/** A rollout as far as it is known here. */
export interface WatchedRollout {
  rollout: Rollout | undefined;
  /** By agent. */
  targets: ReadonlyMap<string, RolloutTarget>;
  /** Whether news arrive; when they do not, the browser asks again by itself and misses nothing. */
  link: "connecting" | "live" | "lost" | "done";
}

const NOTHING: WatchedRollout = { rollout: undefined, targets: new Map(), link: "connecting" };

/**
 * Follows a rollout by server-sent events until it is done. However many events come between two
 * frames of the screen, the page is made anew once.
 */
export function useRollout(rolloutId: string): WatchedRollout {
  const [watched, setWatched] = useState(NOTHING);
  useEffect(() => {
    setWatched(NOTHING);
    const source = new EventSource(`/v1/rollouts/${encodeURIComponent(rolloutId)}/events`);
    let next: WatchedRollout = NOTHING;
    let frame: number | undefined;
    const show = (change: Partial<WatchedRollout>) => {
      next = { ...next, ...change };
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setWatched(next);
      });
    };
    const take = (event: MessageEvent<string>) => {
      const { rollout, targets } = JSON.parse(event.data) as {
        rollout: Rollout;
        targets: RolloutTarget[];
      };
      const all = new Map(next.targets);
      for (const target of targets) all.set(target.agent_id, target);
      show({ rollout, targets: all, link: event.type === "done" ? "done" : "live" });
      if (event.type === "done") source.close();
    };
    source.addEventListener("progress", take);
    source.addEventListener("done", take);
    source.addEventListener("open", () => show({ link: "live" }));
    source.addEventListener("error", () => {
      if (next.link !== "done") show({ link: "lost" });
    });
    return () => {
      source.close();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [rolloutId]);
  return watched;
}
