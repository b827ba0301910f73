import * as nodeFs from "node:fs";
import { type SyncFs } from "../../services/vm-agent/env-set/sync-fs";

/** How many calls may still pass, and what happens to the one after. */
export interface FaultPlan {
  /** Calls that go through unharmed. */
  after: number;
  fault:
    | { kind: "error"; code: string }
    /** Dead before the call: it and all later ones have no effect. */
    | { kind: "killed" }
    /** Dead in the middle of a write, half of it done; before any other call. */
    | { kind: "killed-writing" }
    | { kind: "none" };
}

export interface FaultyFs {
  fs: SyncFs;
  /** Names of the calls so far, those that failed too. */
  calls: string[];
  /** Forgets the calls so far and starts over with another plan. */
  rearm(plan: FaultPlan): void;
  /** Closes what a "killed" process would no longer hold. */
  release(): void;
}

/** Stands for a process that was killed: nothing that it still tries has any effect. */
export class Killed extends Error {}

type AnyCall = (...args: unknown[]) => unknown;

/** The machine's file system with one fault at one call; also the check that no other is made. */
export function faultyFs(firstPlan: FaultPlan): FaultyFs {
  let plan = firstPlan;
  const calls: string[] = [];
  const open = new Set<number>();
  let isDead = false;
  const real = nodeFs as unknown as Record<string, AnyCall>;
  const perform = (name: string, args: unknown[]): unknown => {
    const result = real[name]?.(...args);
    if (name === "openSync") open.add(result as number);
    if (name === "closeSync") open.delete(args[0] as number);
    return result;
  };
  const call = (name: string, args: unknown[]): unknown => {
    if (isDead) throw new Killed();
    const isFaulty = calls.push(name) - 1 === plan.after;
    if (!isFaulty || plan.fault.kind === "none") return perform(name, args);
    if (plan.fault.kind === "error") {
      if (name === "closeSync") perform(name, args);
      throw Object.assign(new Error(plan.fault.code), { code: plan.fault.code });
    }
    isDead = true;
    if (plan.fault.kind === "killed-writing" && name === "writeSync") {
      const [fd, bytes, start, length] = args as [number, Uint8Array, number, number];
      nodeFs.writeSync(fd, bytes, start, Math.floor(length / 2));
    }
    throw new Killed();
  };
  const fs = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...args: unknown[]) =>
          call(String(name), args),
    },
  );
  return {
    fs: fs as SyncFs,
    calls,
    rearm(next) {
      plan = next;
      calls.length = 0;
    },
    release() {
      for (const fd of open) nodeFs.closeSync(fd);
      open.clear();
    },
  };
}
