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
  reduce: Reduce;
}

const withRules = (rules: Partial<Rules>): Reduce => createMachine({ rules });

/** Every trap of the protocol, fallen into in each way that a review thought of. */
export const defects: readonly Defect[] = [
  {
    trap: "lock, then read",
    mistake: "versions are read before the generation rows are locked",
    reduce: withRules({ snapshotSteps: ["read", "lock"] }),
  },
  {
    trap: "lock, then read",
    mistake: "rows are locked in no agreed order",
    reduce: withRules({
      lockOrder: (ids) => (ids.length % 2 === 0 ? [...ids].sort() : [...ids].sort().reverse()),
    }),
  },
  {
    trap: "desired set to mine",
    mistake: "the rekey that commits last wins, whichever generation it has",
    reduce: withRules({ raiseDesired: (_current, next) => next }),
  },
  {
    trap: "desired set to mine",
    mistake: "an ack satisfies only the target of its very generation",
    reduce: withRules({
      targetsSatisfiedBy: (ack, open) =>
        open.filter((t) => t.agentId === ack.agentId && t.generation === ack.generation),
    }),
  },
  {
    trap: "rollback points back",
    mistake: "the old pins are taken as they were",
    reduce: withRules({ rollbackPins: (old) => ({ pins: old, notRolledBack: [] }) }),
  },
  {
    trap: "rollback points back",
    mistake: "desired is set to the old generation",
    reduce: createMachine({ rotation: rollbackByPointingBack }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "the row is inserted when the snapshot has been taken",
    reduce: createMachine({ rotation: spawnRowAfterSnapshot }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a child is inserted without a look at its locked parent",
    reduce: withRules({ mayHaveChild: (parent) => parent !== undefined }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a kill reads the tree, and ends it in a later transaction",
    reduce: createMachine({ rotation: killWithoutLocks }),
  },
  {
    trap: "agent row after its snapshot",
    mistake: "a new agent does not join its ancestors' open rollouts",
    reduce: withRules({ joinsOpenRollouts: () => [] }),
  },
  {
    trap: "spawn-time secrets before the agent",
    mistake: "they have no lease",
    reduce: withRules({ isSpawnLeaseOver: () => false }),
  },
  {
    trap: "spawn-time secrets before the agent",
    mistake: "the lease ends although the agent has come",
    reduce: withRules({ isSpawnLeaseOver: ({ givenAtMs }, nowMs) => nowMs - givenAtMs > 600_000 }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "nothing is released",
    reduce: withRules({ releaseFloor: () => 0 }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "unconfirmed snapshots never expire",
    reduce: withRules({ isSnapshotExpired: () => false }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "confirmed snapshots expire as well",
    reduce: withRules({
      isSnapshotExpired: ({ takenAtMs }, _confirmed, nowMs) => nowMs - takenAtMs > 3_600_000,
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor is the desired generation alone",
    reduce: withRules({ releaseFloor: ({ desired }) => desired }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor leaves out what is applied",
    reduce: withRules({
      releaseFloor: ({ desired, rollbackSources }) =>
        desired === undefined ? undefined : Math.min(desired, ...rollbackSources),
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "the floor passes an agent of which nothing is known to be applied",
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
    reduce: withRules({
      releaseFloor: ({ desired, applied }) =>
        desired === undefined ? undefined : Math.min(desired, applied ?? desired),
    }),
  },
  {
    trap: "snapshots kept or pruned",
    mistake: "a pruned generation is not answered by a new snapshot",
    reduce: withRules({ needsNewSnapshot: () => false }),
  },
  {
    trap: "reboot",
    mistake: "a hello adds to what was believed instead of replacing it",
    reduce: withRules({ mergeHello: (believed, { applied }) => ({ ...believed, ...applied }) }),
  },
  {
    trap: "reboot",
    mistake: "a late ack from before the reboot is believed",
    reduce: withRules({ isAckCurrent: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a late hello from before the reboot is believed",
    reduce: withRules({ isHelloCurrent: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a VM swaps in whatever arrives last",
    reduce: withRules({ acceptsGeneration: () => true }),
  },
  {
    trap: "reboot",
    mistake: "a complete state that was overtaken by a change ends agents that it does not list",
    reduce: withRules({
      agentsToForget: (known, { complete, agentIds }) =>
        complete ? known.filter((id) => !agentIds.includes(id)) : [],
    }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "the rollout's acks are taken as evidence",
    reduce: withRules({ mayEndVersion: () => true }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "only applied generations are asked, not those that can still be got",
    reduce: withRules({
      holdersOf: (kept, applied) =>
        kept
          .filter(({ agentId, generation, holds }) => holds && generation === applied[agentId])
          .map(({ agentId }) => agentId),
    }),
  },
  {
    trap: "revoke on the acks of one rollout",
    mistake: "an agent whose applied snapshot is not kept is taken for one that moved on",
    reduce: withRules({
      holdersOf: (kept, applied) =>
        kept
          .filter(({ holds }) => holds)
          .filter(({ agentId, generation }) => (generation ?? Infinity) >= (applied[agentId] ?? 0))
          .map(({ agentId }) => agentId),
    }),
  },
];
