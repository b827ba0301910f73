import type { Event } from "../../services/rotation/protocol/machine/messages";
import type { World } from "../../services/rotation/protocol/machine/world";
import { lookAtCatalog } from "./catalog-invariants";
import { lookAtRotation } from "./rotation-invariants";
import { lookAtVm } from "./vm-invariants";

/** What was true once and must be remembered to judge what comes later. */
export interface History {
  /** The highest generation that ever stood on an agent's files, in any life of its VM. */
  readonly reached: Map<string, number>;
  /** The same within one boot of its VM. */
  readonly reachedInBoot: Map<string, number>;
  /** Agents whose files were removed, by boot of their VM. */
  readonly endedInBoot: Set<string>;
  /** The highest version of each name in any snapshot of an agent. */
  readonly pinned: Map<string, Map<string, number>>;
  /** Versions that were current when a rekey was asked for: its agents must get there. */
  readonly promised: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** Generations that expired because their confirmation did not come within the hour. */
  readonly expired: Set<string>;
  /** Generations that were made by a rollback. */
  readonly rollbacks: Set<string>;
}

/**
 * Looks at every step and throws a Violation when an invariant is broken. It shares the machine's
 * data types but none of its rules.
 */
export class Observer {
  readonly history: History;

  constructor(world: World, promised: History["promised"]) {
    this.history = {
      reached: new Map(),
      reachedInBoot: new Map(),
      pinned: new Map(),
      endedInBoot: new Set(),
      promised,
      expired: new Set(),
      rollbacks: new Set(),
    };
    for (const [agentId, row] of Object.entries(world.catalog.agents)) {
      for (const { pins } of Object.values(row.snapshots)) {
        const highest = new Map(Object.entries(pins));
        this.history.pinned.set(agentId, highest);
      }
    }
    for (const vm of Object.values(world.vms)) {
      for (const [agentId, { generation }] of Object.entries(vm.files)) {
        this.history.reached.set(agentId, generation);
        this.history.reachedInBoot.set(`${vm.bootId} ${agentId}`, generation);
      }
    }
  }

  look(before: World, event: Event, after: World): void {
    if (event.to === "catalog") lookAtCatalog(this.history, before, event, after);
    else if (event.to === "vm") lookAtVm(this.history, before, event, after);
    else if (before.rotation !== after.rotation) lookAtRotation(this.history, before, after);
  }
}
