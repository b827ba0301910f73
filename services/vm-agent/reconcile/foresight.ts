import type { Clock } from "../../../lib/clock";
import type {
  EnvironmentSource,
  FetchedEnvironment,
  OpenedEnvironment,
} from "./environment-source";
import type { Fetch } from "./plan";

/** A generation that may become desired. */
export interface Coming extends Fetch {
  /** What the catalog sealed for this machine; empty when there is none. */
  sealedAhead: Buffer;
}

/** A source that can be told what will probably be asked for. */
export interface Foresight extends Pick<EnvironmentSource, "fetch"> {
  /** Opens or fetches now what `fetch` will be asked for; returns what was sealed and opened. */
  foresee(coming: readonly Coming[], signal: AbortSignal): OpenedEnvironment[];
}

/** What nobody asks for is dropped after this time: it holds values. */
const KEEP_MS = 5_000;

export interface ForesightDeps {
  source: EnvironmentSource;
  clock: Clock;
  /** Hears of a generation that nobody asked for in time. */
  onDropped: (ref: Fetch) => void;
}

interface Ahead {
  generation: bigint;
  result: Promise<FetchedEnvironment | undefined>;
}

/**
 * Takes the way to the catalog off the path of a change: while the rotation service still commits
 * it, this machine gets what it will need. At most one generation of each agent waits; it is given
 * out once, for exactly the generation that is asked for, and only when it opened.
 */
export function createForesight({ source, clock, onDropped }: ForesightDeps): Foresight {
  const ahead = new Map<string, Ahead>();

  const keep = (agentId: string, entry: Ahead, signal: AbortSignal) => {
    const before = ahead.get(agentId);
    if (before) onDropped({ agentId, generation: before.generation });
    ahead.set(agentId, entry);
    void clock.sleep(KEEP_MS, signal).then(() => {
      if (ahead.get(agentId) !== entry) return;
      ahead.delete(agentId);
      onDropped({ agentId, generation: entry.generation });
    });
  };
  const take = ({ agentId, generation }: Fetch) => {
    const found = ahead.get(agentId);
    if (found?.generation !== generation) return undefined;
    ahead.delete(agentId);
    return found.result;
  };

  return {
    foresee(coming, signal) {
      const unopened: Fetch[] = [];
      const allOpened: OpenedEnvironment[] = [];
      for (const { agentId, generation, sealedAhead } of coming) {
        if (ahead.get(agentId)?.generation === generation) continue;
        const ref = { agentId, generation };
        const opened = sealedAhead.length > 0 ? source.openAhead(ref, sealedAhead) : undefined;
        if (opened) {
          keep(agentId, { generation, result: Promise.resolve(opened) }, signal);
          allOpened.push(opened);
        } else unopened.push(ref);
      }
      if (unopened.length === 0) return allOpened;
      const fetched = source.fetch(unopened, signal).then(
        (results) => new Map(results.map((it) => [it.agentId, it])),
        // It is asked for again when it is wanted, and fails then if it has to.
        () => new Map<string, FetchedEnvironment>(),
      );
      for (const { agentId, generation } of unopened) {
        const result = fetched.then((results) => results.get(agentId));
        keep(agentId, { generation, result }, signal);
      }
      return allOpened;
    },
    async fetch(wanted, signal) {
      const foreseen = wanted.map((one) => ({ one, result: take(one) }));
      const unforeseen = foreseen.filter(({ result }) => !result).map(({ one }) => one);
      const asked = unforeseen.length > 0 ? source.fetch(unforeseen, signal) : [];
      const found = Promise.all(foreseen.map(async ({ result }) => result));
      const [results, fetched] = await Promise.all([found, asked]);
      const good = results.filter((it) => it && "set" in it) as FetchedEnvironment[];
      const isGood = new Set(good.map(({ agentId }) => agentId));
      const failed = foreseen
        .filter(({ one, result }) => result && !isGood.has(one.agentId))
        .map(({ one }) => one);
      const again = failed.length > 0 ? await source.fetch(failed, signal) : [];
      return [...good, ...fetched, ...again];
    },
  };
}
