import type { Whereabouts } from "../holders";
import type { Phase } from "../phase";
import type { FetchVerdict } from "../release";
import type { Pins } from "../snapshot";
import type { Release, SnapshotAnswer, SnapshotOf } from "./world";

/** What the catalog is asked, and what happens to it. */
export type ToCatalog =
  | { kind: "set-secret"; name: string }
  | { kind: "delete-secret"; name: string }
  | { kind: "store-spawn-secrets"; agentId: string }
  | { kind: "snapshot"; requestId: string; replyTo: string; agents: readonly SnapshotOf[] }
  /** One open transaction gets on by a step, taking at most this many row locks. */
  | { kind: "advance"; requestId: string; locks: number }
  | { kind: "release"; replyTo: string; releases: Readonly<Record<string, Release>> }
  | { kind: "fetch"; vmId: string; incarnation: number; agentId: string; generation: number }
  | {
      kind: "end-version";
      replyTo: string;
      id: string;
      name: string;
      version: number;
      living: Readonly<Record<string, Whereabouts>>;
    }
  | { kind: "expire" }
  | { kind: "crash" };

/** Why the catalog takes no snapshot; none of the request's agents gets one. */
export type SnapshotRefusal = "agent-ended" | "nothing-to-roll-back" | "spawn-secrets-expired";

/** What a rotation replica is asked or told, and what happens to it. */
export type ToReplica =
  | { kind: "rekey"; requestId: string; rootIds: readonly string[] }
  | { kind: "rollback"; requestId: string; rolloutId: string }
  | {
      kind: "spawn";
      agentId: string;
      parentId: string | undefined;
      vmId: string;
      spawnSecrets: boolean;
    }
  | { kind: "kill"; requestId: string; agentId: string }
  | {
      kind: "revoke-when-applied";
      requestId: string;
      name: string;
      version: number;
      rolloutId: string;
    }
  | ({ kind: "snapshot-taken"; operationId: string } & SnapshotAnswer)
  | {
      kind: "snapshot-refused";
      operationId: string;
      agentId: string;
      reason: SnapshotRefusal;
    }
  | { kind: "released"; releases: Readonly<Record<string, Release>> }
  | { kind: "version-ended"; id: string }
  | {
      kind: "hello";
      vmId: string;
      bootId: string;
      incarnation: number;
      applied: Readonly<Record<string, number>>;
      ended: Readonly<Record<string, Phase>>;
    }
  | ({ kind: "ack"; generation: number; outcome: "applied" | "failed" } & FromVm)
  | ({ kind: "report"; phase: Phase } & FromVm)
  | ({ kind: "gone"; generation: number } & FromVm)
  /** The outbox has more to read. */
  | { kind: "tail" }
  /** The timer: what was announced to nobody, or never answered, is taken up again. */
  | { kind: "sweep" }
  | { kind: "crash" };

interface FromVm {
  vmId: string;
  bootId: string;
  incarnation: number;
  agentId: string;
}

/** What a VM should do about one agent; without a generation it lacks nothing. */
export interface WishedAgent {
  agentId: string;
  wish: "run" | "end";
  generation: number | undefined;
}

/** What a VM is told, and what happens to it. */
export type ToVm =
  | {
      kind: "desired-state";
      replicaId: string;
      incarnation: number;
      revision: number;
      complete: boolean;
      agents: readonly WishedAgent[];
    }
  | { kind: "set"; incarnation: number; agentId: string; generation: number; pins: Pins }
  | {
      kind: "fetch-refused";
      incarnation: number;
      agentId: string;
      generation: number;
      verdict: Exclude<FetchVerdict, "deliver">;
    }
  /** The daemon starts, reconnects, is woken, or its timer fires: it says hello to this replica. */
  | { kind: "contact"; replicaId: string }
  | { kind: "exit"; agentId: string; phase: Phase }
  | { kind: "disk"; full: boolean }
  | { kind: "crash" }
  | { kind: "reboot" };

/** What a caller is told; `requestId` is the agent's id for a spawn and for its secrets. */
export interface ToClient {
  kind: "answer";
  requestId: string;
  outcome: "accepted" | "refused" | "stored";
}

/** A message and whom it is for. */
export type Effect =
  | { to: "catalog"; message: ToCatalog }
  | { to: "replica"; id: string; message: ToReplica }
  | { to: "vm"; id: string; message: ToVm }
  | { to: "client"; message: ToClient };

/** A message that arrives, or something that happens, at a time. */
export type Event = Exclude<Effect, { to: "client" }> & { atMs: number };
