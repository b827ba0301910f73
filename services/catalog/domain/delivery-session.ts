import { createCipheriv, randomUUID } from "node:crypto";
import type { Clock } from "../../../lib/clock";
import {
  type AgreedKeys,
  encapsulateKey,
  type SharedKey,
} from "../../../lib/identity/key-agreement";
import type { FindProofKey } from "../../../lib/identity/session-proof";
import {
  environmentAssociatedData,
  sessionRequestMessage,
  type SessionRequest,
} from "../../../lib/identity/signed-messages";

const IV_BYTES = 12;
const LIFE_MS = 60 * 60_000;
/** Far below what AES-GCM allows under one key, and never reached within a session's life. */
const MAX_SEALS = 2 ** 32;
/** Sessions at once; the ones that have gone longest without a new opening go first. */
const MAX_SESSIONS = 100_000;

/** A VM as it proved itself to be. */
export interface SessionOwner {
  tenantId: string;
  vmId: string;
  keyThumbprint: string;
}

export interface Sealed {
  iv: Buffer;
  /** The tag is at the end. */
  ciphertext: Buffer;
}

/** A key that this process shares with one incarnation of one VM. */
export interface DeliverySession {
  readonly id: string;
  /** Seals under an IV that never repeats, bound to owner, agent, generation and nonce. */
  seal(
    what: { agentId: string; generation: bigint; nonce: Uint8Array },
    plaintext: Uint8Array,
  ): Sealed;
}

export interface DeliverySessions {
  /**
   * Agrees on a new session; the VM's earlier one ends. Throws when the public key is none of
   * X25519.
   */
  open(
    owner: SessionOwner,
    request: SessionRequest,
  ): Promise<{ session: DeliverySession; encapsulatedKey: Buffer; expiresAt: Date }>;
  /** The owner's session of this id; undefined for another's, an ended or an unknown one. */
  find(owner: SessionOwner, sessionId: string): DeliverySession | undefined;
  /** The session that a VM has with this replica, and the identity key that signed for it. */
  current(vm: Vm): { session: DeliverySession; keyThumbprint: string } | undefined;
  /** By what a session's calls are proven, and the identity key that signed for it. */
  findProofKey: FindProofKey;
}

type Vm = Omit<SessionOwner, "keyThumbprint">;

interface Entry {
  session: DeliverySession;
  vmKey: string;
  proofKey: SharedKey;
  keyThumbprint: string;
  endsMs: number;
  isSpent(): boolean;
}

/** Sessions live in the memory of one replica: they end with it, and the VM opens another. */
export function createDeliverySessions(clock: Clock): DeliverySessions {
  const byVm = new Map<string, Entry>();
  const byId = new Map<string, Entry>();
  const end = (entry: Entry | undefined) => {
    if (!entry) return;
    byVm.delete(entry.vmKey);
    byId.delete(entry.session.id);
  };
  const living = (entry: Entry | undefined) => {
    if (!entry || (clock.monotonicMs() < entry.endsMs && !entry.isSpent())) return entry;
    end(entry);
    return undefined;
  };
  return {
    async open(owner, request) {
      const agreed = await encapsulateKey(request.hpkePublicKey, sessionRequestMessage(request));
      const entry = createEntry(owner, agreed.keys, clock.monotonicMs() + LIFE_MS);
      // Set anew, so that the map's order is the order of openings.
      end(byVm.get(entry.vmKey));
      if (byVm.size >= MAX_SESSIONS) end(byVm.values().next().value);
      byVm.set(entry.vmKey, entry);
      byId.set(entry.session.id, entry);
      const expiresAt = new Date(clock.now().getTime() + LIFE_MS);
      return { session: entry.session, encapsulatedKey: agreed.encapsulatedKey, expiresAt };
    },
    find(owner, sessionId) {
      const entry = living(byId.get(sessionId));
      const isTheirs = entry?.vmKey === vmKey(owner) && entry.keyThumbprint === owner.keyThumbprint;
      return isTheirs ? entry.session : undefined;
    },
    current: (vm) => living(byVm.get(vmKey(vm))),
    findProofKey: (sessionId) => living(byId.get(sessionId)),
  };
}

function createEntry(owner: SessionOwner, keys: AgreedKeys, endsMs: number): Entry {
  let seals = 0;
  const session: DeliverySession = {
    id: randomUUID(),
    seal({ agentId, generation, nonce }, plaintext) {
      if (seals >= MAX_SEALS) throw new Error("a session was used beyond its end");
      // The key is this session's alone, so that a counter is all that an IV needs.
      const iv = Buffer.alloc(IV_BYTES);
      iv.writeUInt32BE(seals++, IV_BYTES - 4);
      const { tenantId, vmId } = owner;
      const bound = environmentAssociatedData({ tenantId, vmId, agentId, generation, nonce });
      const cipher = createCipheriv("aes-256-gcm", keys.sealKey.expose(), iv).setAAD(bound);
      const body = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
      return { iv, ciphertext: Buffer.concat(body) };
    },
  };
  // One call seals at most 500 sets.
  const isSpent = () => seals > MAX_SEALS - 1000;
  const { keyThumbprint } = owner;
  return {
    ...{ session, vmKey: vmKey(owner), proofKey: keys.proofKey },
    ...{ keyThumbprint, endsMs, isSpent },
  };
}

function vmKey({ tenantId, vmId }: Vm): string {
  return `${tenantId}\0${vmId}`;
}
