import type { Reduce } from "../../services/rotation/protocol/machine/machine";
import { createMachine } from "../../services/rotation/protocol/machine/machine";
import type { Rules } from "../../services/rotation/protocol/machine/rules";
import {
  killWithoutLocks,
  rollbackByPointingBack,
  spawnRowAfterSnapshot,
} from "./defective-handlers";

/** A mistake that a review found, and what it makes of the machine. */
export interface Defect {
  /** The trap of architecture section 4 that it falls into. */
  trap: string;
  mistake: string;
  /** How it shows. */
  breaks: RegExp;
  reduce: Reduce;
  /** For a rare one: the seed of a schedule that shows it, to begin with. */
  from?: number;
}

const withRules = (rules: Partial<Rules>): Reduce => createMachine({ rules });

/** Every trap of the protocol, fallen into in each way that a review thought of. */
export const defects: readonly Defect[] = [
  {
    trap: "lock, then read",
    mistake: "versions are read before the generation rows are locked",
    breaks: /holds .*, an earlier one held/,
    reduce: withRules({ snapshotSteps: ["read", "lock"] }),
  },
  {
    trap: "lock, then read",
    mistake: "rows are locked in no agreed order",
    breaks: /is stuck/,
    reduce: withRules({
      lockOrder: (ids) => (ids.length % 2 === 0 ? [...ids].sort() : [...ids].sort().reverse()),
    }),
  },
  {
    trap: "desired set to mine",
    mistake: "the rekey that commits last wins, whichever generation it has",
    breaks: /desired of .* fell/,
    reduce: withRules({ raiseDesired: (_current, next) => next }),
  },
  {
    trap: "desired set to mine",
    mistake: "an ack satisfies only the target of its very generation",
    breaks: /is not completed/,
    reduce: withRules({
      targetsSatisfiedBy: (ack, open) =>
        open.filter((t) => t.agentId === ack.agentId && t.generation === ack.generation),
    }),
  },
  {
    trap: "rollback points back",
    mistake: "the old pins are taken as they were",
    breaks: /back to life/,
    reduce: withRules({ rollbackPins: (old) => ({ pins: old, notRolledBack: [] }) }),
  },
  {
    trap: "rollback points back",
    mistake: "desired is set to the old generation",
    breaks: /desired of .* fell/,
    reduce: createMachine({ rotation: rollbackByPointingBack }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "the row is inserted when the snapshot has been taken",
    breaks: /missed|has .*, should/,
    reduce: createMachine({ rotation: spawnRowAfterSnapshot }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a child is inserted without a look at its locked parent",
    breaks: /lives below/,
    reduce: withRules({ mayHaveChild: (parent) => parent !== undefined }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a kill reads the tree, and ends it in a later transaction",
    breaks: /lives below/,
    reduce: createMachine({ rotation: killWithoutLocks }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a new agent does not join its ancestors' open rollouts",
    breaks: /completed without/,
    reduce: withRules({ joinsOpenRollouts: () => [] }),
  },
  {
    trap: "spawn-time secrets before the agent",
    mistake: "they have no lease",
    breaks: /spawn-time secrets .* orphans/,
    reduce: withRules({ isSpawnLeaseOver: () => false }),
  },
  {
    trap: "spawn-time secrets before the agent",
    mistake: "the lease ends although the agent has come",
    breaks: /spawn-time secrets .* were removed/,
    reduce: withRules({ isSpawnLeaseOver: ({ givenAtMs }, nowMs) => nowMs - givenAtMs > 600_000 }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "nothing is released",
    breaks: /is an orphan/,
    reduce: withRules({ releaseFloor: () => 0 }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "unconfirmed snapshots never expire",
    breaks: /is an orphan/,
    reduce: withRules({ isSnapshotExpired: () => false }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "confirmed snapshots expire as well",
    breaks: /was removed and is needed/,
    reduce: withRules({
      isSnapshotExpired: ({ takenAtMs }, _confirmed, nowMs) => nowMs - takenAtMs > 3_600_000,
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor is the desired generation alone",
    breaks: /was removed and is needed/,
    reduce: withRules({ releaseFloor: ({ desired }) => desired }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor leaves out what is applied",
    breaks: /was removed and is needed/,
    reduce: withRules({
      releaseFloor: ({ desired, rollbackSources }) =>
        desired === undefined ? undefined : Math.min(desired, ...rollbackSources),
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor passes an agent of which nothing is known to be applied",
    breaks: /was removed and is needed/,
    from: 6614,
    reduce: withRules({
      releaseFloor: ({ desired, applied, rollbackSources }) =>
        desired === undefined
          ? undefined
          : Math.min(desired, applied ?? desired, ...rollbackSources),
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor leaves out what a rollback may need",
    breaks: /was removed and is needed/,
    reduce: withRules({
      releaseFloor: ({ desired, applied }) =>
        desired === undefined ? undefined : Math.min(desired, applied ?? desired),
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "a pruned generation is not answered by a new snapshot",
    breaks: /should be on/,
    reduce: withRules({ needsNewSnapshot: () => false }),
  },
  {
    trap: "reboot",
    mistake: "a hello adds to what was believed instead of replacing it",
    breaks: /should be on/,
    reduce: withRules({ mergeHello: (believed, { applied }) => ({ ...believed, ...applied }) }),
  },
  {
    trap: "reboot",
    mistake: "a late ack from before the reboot is believed",
    breaks: /rotation believes/,
    reduce: withRules({ isAckCurrent: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a late hello from before the reboot is believed",
    breaks: /a life of .* that is over/,
    reduce: withRules({ isHelloCurrent: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a VM swaps in whatever arrives last",
    breaks: /went back/,
    reduce: withRules({ acceptsGeneration: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a complete state that was overtaken by a change ends agents that it does not list",
    breaks: /removed the files/,
    from: 3454,
    reduce: withRules({
      agentsToForget: (known, { complete, agentIds }) =>
        complete ? known.filter((id) => !agentIds.includes(id)) : [],
    }),
  },
  {
    trap: "reboot",
    mistake: "a change that was overtaken by a complete state is followed",
    breaks: /has files again/,
    reduce: withRules({ isOvertaken: () => false }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "the rollout's acks are taken as evidence",
    breaks: /was ended and/,
    reduce: withRules({ mayEndVersion: () => true }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "only applied generations are asked, not those that can still be got",
    breaks: /may still get it|after it was ended/,
    reduce: withRules({
      holdersOf: (kept, living) =>
        kept
          .filter(
            ({ agentId, generation, holds }) => holds && generation === living[agentId]?.applied,
          )
          .map(({ agentId }) => agentId),
    }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "a snapshot that is not kept is taken for one that nobody is on",
    breaks: /still uses it|after it was ended/,
    from: 8543,
    reduce: withRules({
      holdersOf: (kept, living) =>
        kept
          .filter(({ holds }) => holds)
          .filter(
            ({ agentId, generation }) =>
              (generation ?? Infinity) >= (living[agentId]?.applied ?? 0),
          )
          .map(({ agentId }) => agentId),
    }),
  },
];
