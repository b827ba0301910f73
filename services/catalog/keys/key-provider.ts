import type { Sensitive } from "../../../lib/sensitive";

/**
 * Wraps data keys under a key-encryption key that it keeps to itself. What it gives is opaque and
 * names the key-encryption key, so that keys sealed under an older one still open. Every method
 * throws AppError UNAVAILABLE when the provider is away, sealed or forbids the call, within its own
 * deadline.
 */
export interface KeyProvider {
  /** Kept in the database, so that another kind of provider is noticed. */
  readonly name: "local" | "vault-transit";
  wrap: (key: Sensitive<Buffer>) => Promise<Buffer>;
  /** Throws WrappedKeyRefused when it was not wrapped by this provider, or was changed since. */
  unwrap: (wrapped: Buffer) => Promise<Sensitive<Buffer>>;
  /** Wraps again under the newest key-encryption key, in order; any number of keys. */
  rewrap: (wrapped: readonly Buffer[]) => Promise<Buffer[]>;
  /**
   * Makes a newer key-encryption key, durably, for all processes that share the provider; the older ones
   * stay. One at a time: the caller sees to it. Throws KEY_ROTATION_REFUSED where the catalog may not.
   */
  rotate: () => Promise<void>;
}

/** A wrapped key does not open: another keyring wrapped it, or it was changed. */
export class WrappedKeyRefused extends Error {
  constructor(provider: KeyProvider["name"], cause?: unknown) {
    super(`a wrapped key does not open under this ${provider} key provider`, { cause });
    this.name = "WrappedKeyRefused";
  }
}
