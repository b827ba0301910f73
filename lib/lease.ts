import type { Clock } from "./clock";

/**
 * For how long a replica may answer from memory after it began to look for changes. Whoever ends a
 * right waits as long before it says so: then nobody has an older view, however it is cut off.
 */
export const LEASE_MS = 100;

/** Resolves when no replica has a view from before now. */
export async function leaseOver(clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + LEASE_MS;
  // A timer may fire early by the grain of its clock.
  for (let leftMs = LEASE_MS; leftMs > 0; leftMs = endMs - clock.monotonicMs())
    await clock.sleep(Math.ceil(leftMs) + 1);
}
