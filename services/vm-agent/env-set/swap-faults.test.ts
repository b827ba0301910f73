import {
  agentOwner,
  createTestRunDir,
  expectedSet,
  generationNames,
  seenSet,
  strayNames,
  type TestRunDir,
} from "../../../test/harness/env-files";
import { envSetOf } from "../../../test/harness/env-sets";
import { faultyFs, type FaultPlan, Killed } from "../../../test/fakes/faulty-fs";
import { sensitive } from "../../../lib/sensitive";
import { type EnvSet } from "./env-set";
import { type EnvFiles } from "./env-files";
import { EnvSetError } from "./env-set-error";
import { render, type RenderedSet } from "./render";

const AGENT = "agent-1";
const KNOWN = new Set([AGENT]);

let runDir: TestRunDir;

beforeEach(() => {
  runDir = createTestRunDir();
});

afterEach(() => {
  runDir.remove();
});

interface Start {
  before: RenderedSet[];
  isWarm: boolean;
  next: RenderedSet;
}

/** Each start of a swap that differs in the calls that it makes. */
const STARTS: Record<string, Start> = {
  "a first set": { before: [], isWarm: false, next: setOf(1n, ["file", "docker"]) },
  "a set after a restart": { before: [setOf(1n)], isWarm: false, next: setOf(2n) },
  "one set after another": { before: [setOf(1n)], isWarm: true, next: setOf(2n) },
  "a set that lacks forms of the one before": {
    before: [setOf(1n, ["file", "docker"])],
    isWarm: false,
    next: setOf(2n),
  },
  "a set that was staged": { before: [setOf(1n)], isWarm: true, next: setOf(2n) },
  "the same generation once more": { before: [setOf(1n)], isWarm: true, next: setOf(1n) },
};

describe.each(Object.entries(STARTS))("%s", (name, { before, isWarm, next }) => {
  test.each(["killed", "killed-writing"] as const)(
    "%s at any call leaves the whole old or the whole new set, and the next start cleans up",
    (kind) => {
      for (let after = 0, isOver = false; !isOver; after++) {
        const { outcome, calls } = swapWith({ after, fault: { kind } });
        isOver = outcome === "swapped";
        if (!isOver) expect(outcome).toBeInstanceOf(Killed);
        expectWhole(calls);
        cleanUpAndConverge(calls);
        startAfresh();
      }
    },
  );

  test.each(["EIO", "ENOSPC", "EMFILE", "EACCES"])(
    "%s at any call either changes nothing and leaves nothing, or did not matter",
    (code) => {
      for (let after = 0, isOver = false; !isOver; after++) {
        const { outcome, calls } = swapWith({ after, fault: { kind: "error", code } });
        isOver = calls.length <= after;
        if (outcome === "swapped") expectStands(next, calls);
        else {
          expect(outcome).toBeInstanceOf(EnvSetError);
          expect(outcome).toMatchObject({ fault: code === "ENOSPC" ? "no_space" : "io" });
          expectStands(before.at(-1), calls);
          const stray = namesOf(() => strayNames(directory()));
          expect({ calls, stray }).toEqual({ calls, stray: [] });
          expect(namesOf(() => generationNames(directory()))).toHaveLength(before.length);
        }
        cleanUpAndConverge(calls);
        startAfresh();
      }
    },
  );

  function swapWith(plan: FaultPlan): { outcome: unknown; calls: string[] } {
    const faulty = faultyFs({ after: Number.MAX_SAFE_INTEGER, fault: { kind: "none" } });
    const daemon = runDir.start(faulty.fs);
    for (const set of before) daemon.swap(set, agentOwner);
    const target = isWarm ? faulty : faultyFs(plan);
    const swapping = isWarm ? daemon : runDir.start(target.fs);
    if (isWarm) faulty.rearm(plan);
    try {
      if (name !== "a set that was staged" || !tryStaged(swapping, next))
        swapping.swap(next, agentOwner);
      return { outcome: "swapped", calls: target.calls };
    } catch (error) {
      return { outcome: causeOf(error), calls: target.calls };
    } finally {
      target.release();
    }
  }

  function expectWhole(calls: string[]): void {
    const seen = seenSet(directory());
    const isOld = sameSet(seen, before.at(-1));
    const isNew = sameSet(seen, next);
    expect({ calls, isWhole: isOld || isNew }).toEqual({ calls, isWhole: true });
  }

  function cleanUpAndConverge(calls: string[]): void {
    const daemon = runDir.start();
    expect(daemon.sweep(KNOWN).failures).toEqual([]);
    const stray = namesOf(() => strayNames(directory()));
    expect({ calls, stray }).toEqual({ calls, stray: [] });
    expect(namesOf(() => generationNames(directory())).length).toBeLessThanOrEqual(2);
    daemon.swap(next, agentOwner);
    expectStands(next, calls);
    expect({ calls, verdict: daemon.verify(AGENT, agentOwner, next) }).toEqual({
      calls,
      verdict: { state: "whole" },
    });
  }
});

/** As the writer does it: what cannot be staged is swapped. */
function tryStaged(daemon: EnvFiles, next: RenderedSet): boolean {
  try {
    const staged = daemon.stage(next, agentOwner);
    return staged !== undefined && daemon.putInForce(staged) !== undefined;
  } catch (error) {
    if (error instanceof EnvSetError && !(causeOf(error) instanceof Killed)) return false;
    throw error;
  }
}

test("writes that the system does in pieces still arrive whole", () => {
  const faulty = faultyFs({ after: Number.MAX_SAFE_INTEGER, fault: { kind: "none" } });
  const { fs } = faulty;
  const short = {
    ...Object.fromEntries(METHODS.map((name) => [name, fs[name]])),
    writeSync: (fd: number, bytes: Uint8Array, start: number, length: number) =>
      fs.writeSync(fd, bytes, start, Math.min(length, 7)),
  } as unknown as typeof fs;
  runDir.start(short).swap(setOf(1n, ["file"]), agentOwner);
  expectStands(setOf(1n, ["file"]), []);
});

const METHODS = [
  "openSync",
  "closeSync",
  "fstatSync",
  "lstatSync",
  "fchownSync",
  "fchmodSync",
  "mkdirSync",
  "readdirSync",
  "readlinkSync",
  "symlinkSync",
  "renameSync",
  "unlinkSync",
  "rmdirSync",
  "statfsSync",
  "readSync",
] as const;

function setOf(generation: bigint, more: ("file" | "docker")[] = []): RenderedSet {
  const base = envSetOf([`value of ${generation}`, "x y"], { agentId: AGENT, generation });
  const cert = { name: "CERT", value: sensitive(Buffer.from(`cert ${generation}`)) };
  const variables = [...base.variables, { ...cert, delivery: "file" as const }];
  const set: EnvSet = more.includes("file") ? { ...base, variables } : base;
  // A key of its own makes two renderings of one set the same.
  const history = { generation: 0n, key: Buffer.alloc(16), entries: [] };
  return render(set, { directory: "/run/a", docker: more.includes("docker"), history });
}

/** A kill reaches the caller of a test as the cause, since nothing of a dead process catches. */
function causeOf(error: unknown): unknown {
  return error instanceof EnvSetError && error.cause instanceof Killed ? error.cause : error;
}

function directory(): string {
  return `${runDir.agentsDirectory}/${AGENT}`;
}

function startAfresh(): void {
  runDir.remove();
  runDir = createTestRunDir();
}

function expectStands(set: RenderedSet | undefined, calls: string[]): void {
  const seen = seenSet(directory());
  expect({ calls, seen }).toEqual({ calls, seen: set && expectedSet(set) });
}

function sameSet(seen: ReturnType<typeof seenSet>, set: RenderedSet | undefined): boolean {
  return JSON.stringify(sorted(seen)) === JSON.stringify(sorted(set && expectedSet(set)));
}

function sorted(files: ReturnType<typeof seenSet>): unknown {
  return files && [...files].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** An agent's directory may not be there at all. */
function namesOf(list: () => string[]): string[] {
  try {
    return list();
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOENT" });
    return [];
  }
}
