import { greatest, type Ordinal } from "./generation";

/** Which life of a VM's daemon speaks: the kernel's boot, and the start of the daemon, counted up. */
export interface Incarnation<N extends Ordinal = Ordinal> {
  bootId: string;
  incarnation: N;
}

/**
 * Whether an ack is evidence: it comes from the life of the VM that said hello last. An ack that
 * was sent before a reboot says nothing about the empty file system after it.
 */
export function isAckCurrent(vm: Incarnation | undefined, ack: Incarnation): boolean {
  return vm !== undefined && vm.bootId === ack.bootId && vm.incarnation === ack.incarnation;
}

/** What is believed after a current ack: within one life of a VM the applied generation only rises. */
export function raiseApplied<G extends Ordinal>(believed: G | undefined, acked: G): G {
  return greatest(believed, acked);
}

/** Whether a VM may swap a set in. The same generation again is a repair, a lower one is refused. */
export function acceptsGeneration<G extends Ordinal>(applied: G | undefined, offered: G): boolean {
  return applied === undefined || offered >= applied;
}
