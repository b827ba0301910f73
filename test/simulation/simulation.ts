import type { Effect, Event } from "../../services/rotation/protocol/machine/messages";
import type { Reduce } from "../../services/rotation/protocol/machine/machine";
import type { World } from "../../services/rotation/protocol/machine/world";
import { Client } from "./client";
import { Observer } from "./observer";
import type { Happening } from "./play";
import { seededRandom, type Random } from "./random";

/** Every call has a deadline, far below the hour that an unconfirmed snapshot lives. */
const DEADLINE_MS = 30 * 60_000;

/** Something on its way: lost when it is not there in time. */
export interface Message {
  happening: Happening;
  deadlineMs: number;
}

/** One schedule: the world, the network between its parties, its clock and its observer. */
export class Simulation {
  readonly random: Random;
  /** Whether rekeys are also of every tree at once: in one schedule of five. */
  readonly rekeysAll: boolean;
  readonly client: Client;
  readonly observer: Observer;
  /** Messages sent and not delivered; any of them may come next. */
  private readonly network: Message[] = [];
  /** Messages that met with a delay: much that was sent later comes before them. */
  private readonly delayed: Message[] = [];
  /** Parties that are down: what is sent to them is lost. */
  readonly down = new Set<string>();
  private readonly delays: number;
  nowMs = 0;
  events = 0;

  constructor(
    seed: number,
    public world: World,
    private readonly reduce: Reduce,
    private readonly trace?: (event: Event, effects: readonly Effect[]) => void,
  ) {
    this.random = seededRandom(seed);
    this.rekeysAll = seed % 5 === 0;
    this.delays = this.random.pick([0, 0.1, 0.1, 0.3]) ?? 0;
    this.client = new Client(this);
    this.observer = new Observer(world, this.client.promised);
  }

  /** Something happens, now: the machine takes a step and the observer looks at it. */
  apply(happening: Happening): void {
    const event: Event = { ...happening, atMs: this.nowMs };
    const before = this.world;
    const { world, effects } = this.reduce(before, event);
    this.trace?.(event, effects);
    this.world = world;
    this.events += 1;
    this.observer.look(before, event, world);
    for (const effect of effects) {
      if (effect.to !== "client") this.send(effect);
      // Answers take the network too: the caller may never get them.
      else if (!this.client.losesAnswer()) this.client.hear(effect.message);
    }
  }

  send(happening: Happening): void {
    const lane = this.random.chance(this.delays) ? this.delayed : this.network;
    lane.push({ happening, deadlineMs: this.nowMs + DEADLINE_MS });
  }

  /** Takes any message from the network; undefined when there is none. */
  takeMessage(): Message | undefined {
    const late = this.network.length === 0 || this.random.chance(0.04);
    const lane = late && this.delayed.length > 0 ? this.delayed : this.network;
    const index = this.random.below(lane.length);
    const taken = lane[index];
    const last = lane.pop();
    if (taken !== last && last !== undefined) lane[index] = last;
    return taken;
  }

  deliver({ happening, deadlineMs }: Message): void {
    if (this.nowMs <= deadlineMs && !this.down.has(partyOf(happening))) this.apply(happening);
  }
}

/** The name of the party that a message is for. */
export function partyOf(happening: Happening): string {
  return happening.to === "catalog" ? "catalog" : happening.id;
}
