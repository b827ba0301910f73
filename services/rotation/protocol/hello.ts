import type { Incarnation } from "./applied";
import type { Ordinal } from "./generation";

/** What a VM says first on each contact: who it is in this life, and what stands on its files. */
export interface Hello<G extends Ordinal = Ordinal> extends Incarnation {
  applied: Readonly<Record<string, G>>;
}

/** Whether a hello may replace what is known: one of an earlier start of the daemon came late. */
export function isHelloCurrent(known: Incarnation | undefined, hello: Incarnation): boolean {
  return known === undefined || hello.incarnation >= known.incarnation;
}

/**
 * What is believed of a VM's agents after its hello: exactly what the hello says. What was believed
 * before is dropped, for its file system may have been lost since.
 *
 * `believed` has one entry for each agent that is placed on the VM; agents of others that a hello
 * names are not listened to.
 */
export function mergeHello<G extends Ordinal>(
  believed: Readonly<Record<string, G | undefined>>,
  hello: Pick<Hello<G>, "applied">,
): Record<string, G | undefined> {
  const merged: Record<string, G | undefined> = {};
  for (const agentId of Object.keys(believed)) merged[agentId] = hello.applied[agentId];
  return merged;
}
