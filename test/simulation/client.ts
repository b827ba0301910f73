import type { ToClient, ToReplica } from "../../services/rotation/protocol/machine/messages";
import type { Happening } from "./play";
import { biased, pickWeighted } from "./random";
import { isCompleted } from "./rotation-invariants";
import type { Simulation } from "./simulation";

export const REPLICAS = ["r1", "r2"];
export const VMS = ["v1", "v2", "v3"];
export const SECRETS = ["ALPHA", "BETA", "GAMMA"];
const MOST_AGENTS = 8;
const MOST_REQUESTS = 12;

interface Request {
  message: Happening;
  answered: boolean;
  /** Whether its caller gives up at the first silence. */
  vanishes: boolean;
}

/** People who use the product: they ask, lose patience, ask again with the same id, or go away. */
export class Client {
  readonly requests = new Map<string, Request>();
  /** Versions that were current when a rekey was first asked for: all its agents must get there. */
  readonly promised = new Map<string, Readonly<Record<string, number>>>();
  patient = false;
  private asked = 0;
  private spawned = 0;

  private readonly habits: readonly (readonly [number, () => void])[];

  constructor(private readonly simulation: Simulation) {
    this.habits = biased(simulation.random, [
      [14, () => this.changeSecret()],
      [18, () => this.rekey()],
      [16, () => this.rotate()],
      [20, () => this.spawn()],
      [6, () => this.kill()],
      [8, () => this.rollBack()],
      [24, () => this.revoke()],
      [8, () => this.retry()],
    ]);
  }

  /** Does something that people do, at random. */
  act(): void {
    const { random } = this.simulation;
    if (this.requests.size >= MOST_REQUESTS) this.retry();
    else pickWeighted(random, this.habits)?.();
  }

  hear({ requestId, outcome }: ToClient): void {
    const request = this.requests.get(requestId);
    if (request === undefined || request.answered) return;
    request.answered = true;
    const spawn = this.requests.get(`spawn ${requestId}`);
    if (outcome === "stored" && spawn !== undefined && !spawn.vanishes) {
      this.requests.delete(`spawn ${requestId}`);
      this.requests.set(requestId, spawn);
      this.simulation.send(spawn.message);
    }
  }

  /** While there are faults an answer may be lost: the request was done, its caller asks again. */
  losesAnswer(): boolean {
    return !this.patient && this.simulation.random.chance(0.1);
  }

  /** Asks again for everything that was not answered. */
  retryAll(): void {
    for (const id of this.unanswered()) {
      const request = this.requests.get(id);
      if (request !== undefined) this.simulation.send(elsewhere(this, request));
    }
  }

  unanswered(): string[] {
    return [...this.requests].flatMap(([id, { answered, vanishes }]) =>
      answered || vanishes || id.startsWith("spawn ") ? [] : [id],
    );
  }

  anyReplica(): string {
    return this.simulation.random.pick(REPLICAS) ?? "r1";
  }

  private changeSecret(): void {
    const { random } = this.simulation;
    const name = random.pick(SECRETS) ?? "ALPHA";
    const kind = random.chance(0.2) ? "delete-secret" : "set-secret";
    this.simulation.apply({ to: "catalog", message: { kind, name } });
  }

  /** What people mostly do: a new value, and everybody gets it. */
  private rotate(): void {
    const name = this.simulation.random.pick(SECRETS) ?? "ALPHA";
    this.simulation.apply({ to: "catalog", message: { kind: "set-secret", name } });
    this.rekey();
  }

  private rekey(): void {
    const { random, world } = this.simulation;
    const agents = Object.values(world.rotation.agents);
    const roots = agents.filter(({ parentId }) => parentId === undefined);
    const rootId = random.pick(random.chance(0.6) ? roots : agents)?.id;
    if (rootId === undefined) return;
    const requestId = this.newId("rekey");
    const isOfAll = this.simulation.rekeysAll && this.asked % 2 === 0;
    const rootIds = isOfAll ? roots.map(({ id }) => id) : [rootId];
    const secrets = Object.entries(world.catalog.secrets);
    const current = secrets.flatMap(([name, { current }]) =>
      current === undefined ? [] : [[name, current] as const],
    );
    this.promised.set(requestId, Object.fromEntries(current));
    this.ask(requestId, { kind: "rekey", requestId, rootIds });
  }

  private rollBack(): void {
    const rolloutId = this.simulation.random.pick(
      Object.keys(this.simulation.world.rotation.rollouts),
    );
    if (rolloutId === undefined) return;
    const requestId = this.newId("rollback");
    this.ask(requestId, { kind: "rollback", requestId, rolloutId });
  }

  private spawn(): void {
    const { random, world } = this.simulation;
    const ids = Object.keys(world.rotation.agents);
    if (ids.length >= MOST_AGENTS) return;
    this.spawned += 1;
    const agentId = `s${this.spawned}`;
    const parentId = random.chance(0.85) ? random.pick(ids) : undefined;
    const vmId = random.pick(VMS) ?? "v1";
    const spawnSecrets = random.chance(0.3);
    const message = { kind: "spawn", agentId, parentId, vmId, spawnSecrets } as const;
    if (!spawnSecrets) {
      this.ask(agentId, message);
      return;
    }
    const spawn = { to: "replica", id: this.anyReplica(), message } as const;
    this.requests.set(`spawn ${agentId}`, {
      message: spawn,
      answered: false,
      vanishes: random.chance(0.2),
    });
    const store = { to: "catalog", message: { kind: "store-spawn-secrets", agentId } } as const;
    this.requests.set(agentId, { message: store, answered: false, vanishes: random.chance(0.1) });
    this.simulation.send(store);
  }

  private kill(): void {
    const agentId = this.simulation.random.pick(Object.keys(this.simulation.world.rotation.agents));
    if (agentId === undefined) return;
    const requestId = this.newId("kill");
    this.ask(requestId, { kind: "kill", requestId, agentId });
  }

  private revoke(): void {
    const { random, world } = this.simulation;
    const secrets = Object.entries(world.catalog.secrets);
    const name = random.pick(secrets.filter(([, { current = 0 }]) => current > 1))?.[0];
    const current = world.catalog.secrets[name ?? ""]?.current;
    const rollouts = Object.values(world.rotation.rollouts);
    const rolloutId = random.pick(rollouts.filter((each) => isCompleted(each)))?.id;
    if (name === undefined || current === undefined || rolloutId === undefined) return;
    const requestId = this.newId("revoke");
    const version = 1 + random.below(current - 1);
    this.ask(requestId, { kind: "revoke-when-applied", requestId, name, version, rolloutId });
  }

  private retry(): void {
    const id = this.simulation.random.pick([...this.requests.keys()]);
    // A spawn that waits until its secrets are stored is not sent before.
    const request = id?.startsWith("spawn ") === true ? undefined : this.requests.get(id ?? "");
    if (request !== undefined && !request.answered) {
      this.simulation.send(elsewhere(this, request));
    }
  }

  private ask(id: string, message: ToReplica): void {
    const happening = { to: "replica", id: this.anyReplica(), message } as const;
    const vanishes = this.simulation.random.chance(0.1);
    this.requests.set(id, { message: happening, answered: false, vanishes });
    this.simulation.send(happening);
  }

  private newId(what: string): string {
    this.asked += 1;
    return `${what}-${this.asked}`;
  }
}

function elsewhere(client: Client, { message }: Request): Happening {
  return message.to === "replica" ? { ...message, id: client.anyReplica() } : message;
}
