import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** One process of an agent, as its own notes and the kernel tell it. */
export interface Sighting {
  pid: number;
  program: string;
  /** The kernel's start time, in ticks since boot: the same pid with another one is another process. */
  startTicks: string;
  /** First time that each fingerprint was noted, milliseconds since the epoch. */
  firstSeenMs: Map<string, number>;
  /** The value in use now. */
  fingerprint: string;
  reads: number;
  /** Reads that mixed two sets. */
  torn: number;
  /** By its own environment alone, no file. */
  isByEnvironment: boolean;
}

/** What the tour's programs note of a value. */
export function fingerprintOf(value: string): string {
  return createHash("sha256").update(value).digest("hex").slice(0, 12);
}

/**
 * Looks at the processes from outside: their notes and the kernel's process table. Shares no code
 * with the product and asks no service.
 */
export function look(observations: string): Sighting[] {
  return readdirSync(observations).flatMap((name) => {
    const startTicks = startTicksOf(Number(name));
    const lines = readFileSync(join(observations, name), "ascii").split("\n").slice(0, -1);
    const last = lines.at(-1)?.split(" ");
    if (startTicks === undefined || !last) return [];
    const firstSeenMs = new Map<string, number>();
    for (const line of lines) {
      const [ms, , fingerprint = ""] = line.split(" ");
      if (!firstSeenMs.has(fingerprint)) firstSeenMs.set(fingerprint, Number(ms));
    }
    const [, program = "", fingerprint = "", reads, torn, by] = last;
    const counts = { reads: Number(reads), torn: Number(torn) };
    const isByEnvironment = by === "environment";
    const seen = { program, startTicks, firstSeenMs, fingerprint, ...counts };
    return [{ pid: Number(name), ...seen, isByEnvironment }];
  });
}

/** Looks again and again until what it sees is right; throws after the time with what it saw last. */
export async function lookUntil(
  observations: string,
  isRight: (seen: Sighting[]) => boolean,
  { what, timeoutMs }: { what: string; timeoutMs: number },
): Promise<Sighting[]> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const seen = look(observations);
    if (isRight(seen)) return seen;
    if (performance.now() > endMs) {
      const rows = seen.map(
        ({ pid, program, fingerprint }) => `${program} ${pid} on ${fingerprint}`,
      );
      throw new Error(
        `${what}: not within ${timeoutMs} ms; seen: ${rows.join(", ") || "no process"}`,
      );
    }
    await delay(5);
  }
}

/** Field 22 of /proc/PID/stat, or undefined when there is no such living process. */
function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined; // Gone.
  }
}
