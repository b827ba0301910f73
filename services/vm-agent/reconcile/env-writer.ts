import { timingSafeEqual } from "node:crypto";
import type { DesiredAgent, Ack } from "../../../gen/murmur/rotation/v1/vm_sync";
import { AckOutcome } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import type { EnvFiles } from "../env-set/env-files";
import type { EnvSet } from "../env-set/env-set";
import type { Placement } from "../env-set/environment";
import { EnvSetError } from "../env-set/env-set-error";
import { render, type RenderedSet, wipe } from "../env-set/render";
import type { StagedSet } from "../env-set/stage";
import type { LiveFile } from "../live-env/live-file";
import type { AgentUser } from "../processes/agent";
import type { FetchedEnvironment, OpenedEnvironment } from "./environment-source";
import type { LocalAgent } from "./plan";

export interface EnvWriterDeps {
  envFiles: EnvFiles;
  /** The user that agents run as. */
  user: AgentUser;
  /** Called before a swap that changes what the programs of an agent with a reload see. */
  beforeChange?: (agentId: string, generation: bigint) => void;
  clock: Clock;
  log: Log;
}

type Applied = NonNullable<LocalAgent["applied"]>;
/** What stays of a rendered set when its bytes are written. */
type Written = Pick<RenderedSet, "history" | "omitted">;

/** A set that was written before it was asked for. */
interface Ready {
  files: StagedSet;
  written: Written;
  fingerprint: Buffer;
}

/**
 * Puts fetched sets in force and remembers which set stands for whom, so that the disk is looked
 * at only when there is a reason to.
 */
export class EnvWriter {
  readonly #applied = new Map<string, Applied>();
  /** What was found and is not repaired yet, by agent. */
  readonly #damaged = new Map<string, string>();
  /** What was ever delivered to whom; holds no value. */
  readonly #histories = new Map<string, LiveFile>();
  readonly #ready = new Map<string, Ready>();

  constructor(private readonly deps: EnvWriterDeps) {}

  appliedOf(agentId: string): Applied | undefined {
    return this.#applied.get(agentId);
  }

  isDamaged(agentId: string): boolean {
    return this.#damaged.has(agentId);
  }

  /** Reads what stands on disk back: at a start, and from time to time to find damage. */
  inspect(agentIds: Iterable<string>): void {
    for (const agentId of agentIds) {
      try {
        const found = this.deps.envFiles.inspect(agentId, this.deps.user);
        const before = this.#damaged.get(agentId);
        this.#damaged.delete(agentId);
        if (!found) {
          this.#applied.delete(agentId);
          continue;
        }
        const fingerprint = Buffer.from(found.fingerprint, "hex");
        this.#applied.set(agentId, { generation: found.generation, fingerprint });
        if (found.damage.length === 0) continue;
        const damage = found.damage.join();
        this.#damaged.set(agentId, damage);
        // Once, also where it takes long until it can be repaired.
        if (damage === before) continue;
        this.deps.log.warn("env set is damaged and will be repaired", {
          agentId,
          damage: found.damage,
        });
      } catch (error) {
        this.#damaged.set(agentId, "unreadable");
        this.deps.log.error("env set cannot be read", { agentId, error });
      }
    }
  }

  /**
   * Swaps one set in and returns the evidence, or the failure with the old set still whole. The
   * set must be what the rotation service expects and not older than what stands.
   */
  apply(agent: DesiredAgent, fetched: FetchedEnvironment): Ack {
    if ("refusal" in fetched) return failed(fetched, `fetch: ${REFUSALS[fetched.refusal]}`);
    const { set, generation, fingerprint } = fetched;
    const applied = this.#applied.get(set.agentId);
    if (applied && generation < applied.generation)
      return failed(fetched, "open: older than what is applied");
    const isExpected = generation !== agent.generation || equal(fingerprint, agent.fingerprint);
    if (!isExpected) return failed(fetched, "open: not the set that was expected");
    try {
      const { omitted, history } = this.#putInForce(agent, fetched);
      this.#histories.set(set.agentId, history);
      this.#applied.set(set.agentId, { generation, fingerprint });
      this.#damaged.delete(set.agentId);
      return {
        agentId: set.agentId,
        generation,
        fingerprint,
        outcome: AckOutcome.ACK_OUTCOME_APPLIED,
        reason: "",
        omittedNames: [...new Set(omitted.map(({ name }) => name))],
        appliedAt: this.deps.clock.now(),
      };
    } catch (error) {
      if (!(error instanceof EnvSetError)) throw error;
      this.deps.log.error("env set could not be swapped", {
        agentId: set.agentId,
        generation,
        error,
      });
      return failed(fetched, `swap: ${error.message}`);
    }
  }

  /**
   * Writes a set that is about to be asked for, so that `apply` is one rename. What cannot be
   * written now is no failure: `apply` tries again, and says so.
   */
  stage(agent: DesiredAgent, { set, generation, fingerprint }: OpenedEnvironment): void {
    const { agentId } = set;
    this.unstage(agentId);
    if (generation <= (this.#applied.get(agentId)?.generation ?? generation)) return;
    this.#attempt("stage", agentId, () => {
      const rendered = this.#render(agent, set);
      try {
        const files = this.deps.envFiles.stage(rendered, this.deps.user);
        if (files) this.#ready.set(agentId, { files, written: rendered, fingerprint });
      } finally {
        wipe(rendered);
      }
    });
  }

  /** Removes what was staged for an agent, if it is of that generation, or of any. */
  unstage(agentId: string, generation?: bigint): void {
    const ready = this.#ready.get(agentId);
    if (!ready || (generation !== undefined && ready.files.generation !== generation)) return;
    this.#ready.delete(agentId);
    this.deps.envFiles.unstage(ready.files);
  }

  #putInForce(agent: DesiredAgent, { set, generation, fingerprint }: OpenedEnvironment): Written {
    const { envFiles, user } = this.deps;
    if (agent.settings?.reload && envFiles.differs(set, this.#placementOf(agent)))
      this.deps.beforeChange?.(set.agentId, generation);
    const ready = this.#ready.get(set.agentId);
    if (ready?.files.generation === generation && equal(ready.fingerprint, fingerprint)) {
      this.#ready.delete(set.agentId);
      if (envFiles.putInForce(ready.files)) return ready.written;
    }
    this.unstage(set.agentId);
    const rendered = this.#render(agent, set);
    try {
      envFiles.swap(rendered, user);
      return rendered;
    } finally {
      wipe(rendered);
    }
  }

  #render(agent: DesiredAgent, set: EnvSet): RenderedSet {
    const history = this.#histories.get(set.agentId) ?? this.#readHistory(set.agentId);
    return render(set, { ...this.#placementOf(agent), history });
  }

  #placementOf({ agentId, path, workspace }: DesiredAgent): Placement {
    return { directory: this.deps.envFiles.directoryOf(agentId), agent: path, workspace };
  }

  /** Removes generations that nobody reads any more. Off the ack path. */
  prune(agentId: string): void {
    this.#attempt("prune", agentId, () => this.deps.envFiles.prune(agentId));
  }

  /** Removes all files of an agent that is over. */
  remove(agentId: string): void {
    this.#applied.delete(agentId);
    this.#damaged.delete(agentId);
    this.#histories.delete(agentId);
    this.#ready.delete(agentId);
    this.#attempt("remove", agentId, () => {
      this.deps.envFiles.remove(agentId);
    });
  }

  /** Without it programs keep what they have until they start anew: no reason to fail a swap. */
  #readHistory(agentId: string): LiveFile | undefined {
    try {
      return this.deps.envFiles.readHistory(agentId);
    } catch (error) {
      this.deps.log.warn("what was delivered earlier cannot be read", { agentId, error });
      return undefined;
    }
  }

  #attempt(what: string, agentId: string, act: () => unknown): void {
    try {
      act();
    } catch (error) {
      this.deps.log.error("env files could not be cleaned up", { what, agentId, error });
    }
  }
}

const REFUSALS = {
  "not-available": "the generation is not available",
  tampered: "the catalog's record was changed by other hands",
  away: "the catalog cannot open the set now",
} as const;

function failed(
  { agentId, generation }: { agentId: string; generation: bigint },
  reason: string,
): Ack {
  const outcome = AckOutcome.ACK_OUTCOME_FAILED;
  const fingerprint = Buffer.alloc(0);
  return {
    agentId,
    generation,
    fingerprint,
    outcome,
    reason,
    omittedNames: [],
    appliedAt: undefined,
  };
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
