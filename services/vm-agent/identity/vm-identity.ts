import type { TrustBundle } from "../../../gen/murmur/catalog/v1/vms";
import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import type { Credentials } from "../../../lib/grpc/client";
import { vmCredentials } from "../../../lib/identity/credentials";
import type { Log } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import type { Sensitive } from "../../../lib/sensitive";
import type { IdentityKey } from "./identity-key";
import { callRenew, type RegisterClient } from "./register-calls";
import { createServerClock, type ServerClock } from "./server-clock";
import { openTrustBundle, pinnedAs } from "./trust-bundle";
import { type VmState, writeVmState } from "./vm-state";
import { ageOf, type HeldToken, holdToken } from "./vm-token";

export interface VmIdentityDeps {
  /** The daemon's own directory; survives reboots. */
  directory: string;
  key: IdentityKey;
  state: VmState;
  client: RegisterClient;
  clock: Clock;
  log: Log;
}

/** Signatures are refused beyond 5 minutes; up to here, a refusal has another cause. */
const REFUSED_SKEW_MS = 4 * 60_000;
/** Renewed in the background from this part of a token's life on, and at the latest at that one. */
const RENEW_AT = 0.6;
const STALE_AT = 0.9;
const RETRY = { initialMs: 500, maxMs: 30_000 };
/** After a refusal, a token this young is not thrown away: a second one would fare no better. */
const FRESH_MS = 1_000;

/**
 * This machine towards the services: who it is, and a token that is good now. It needs nothing but
 * its key and state files to come back, whatever happened in between and however long it took.
 */
export class VmIdentity {
  /** The catalog's time as far as known; what is signed carries this time. */
  readonly clock: ServerClock;
  #state: VmState;
  #token: HeldToken | undefined;
  #renewing: Promise<HeldToken> | undefined;
  readonly #closing = new AbortController();

  constructor(private readonly deps: VmIdentityDeps) {
    this.clock = createServerClock(deps.clock);
    this.#state = deps.state;
  }

  get key(): IdentityKey {
    return this.deps.key;
  }

  get state(): VmState {
    return this.#state;
  }

  /** For channels to catalog and rotation: the token and a proof for each call. */
  credentials(): Credentials {
    return vmCredentials(this.deps.key, () => this.currentToken(), this.clock);
  }

  /**
   * A token that is good for some time. Throws UNAVAILABLE when the catalog is away and the last one
   * is over, UNAUTHENTICATED when the catalog knows this VM no more.
   */
  async currentToken(): Promise<Sensitive<string>> {
    const held = this.#token;
    if (held && ageOf(held, this.clock) < STALE_AT) return held.text;
    return (await this.renew()).text;
  }

  /** Says that a service refused a call as unauthenticated: the next one goes with a new token. */
  refused(): void {
    const held = this.#token;
    if (held && this.clock.monotonicMs() - held.askedMs > FRESH_MS) this.#token = undefined;
  }

  /** Takes a token that was issued otherwise, at the join. */
  take(text: string, askedMs: number): void {
    this.#token = holdToken(text, askedMs);
    this.#setClock(this.#token);
  }

  /** Asks for a fresh token now; callers at the same time share one call. */
  renew(): Promise<HeldToken> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Renews ahead of time until the signal aborts, so that no call has to wait for it. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => {
      this.#closing.abort();
    };
    signal.addEventListener("abort", stop, { once: true });
    for (let attempt = 0; !signal.aborted;) {
      await this.clock.sleep(this.#msToRenewal(attempt), signal);
      if (isAborted(signal)) break;
      attempt = (await this.#tryRenew()) ? 0 : attempt + 1;
    }
    signal.removeEventListener("abort", stop);
  }

  #msToRenewal(attempt: number): number {
    if (attempt > 0) return backoffMs(attempt - 1, RETRY);
    const held = this.#token;
    if (!held) return 0;
    // Spread, as all VMs come back at once after an outage.
    const dueMs = held.lifeMs * (RENEW_AT - ageOf(held, this.clock)) * (0.9 + Math.random() * 0.2);
    return Math.max(0, dueMs);
  }

  async #tryRenew(): Promise<boolean> {
    try {
      await this.renew();
      return true;
    } catch (error) {
      if (this.#closing.signal.aborted) return false;
      const isEnded = isAppError(error, "UNAUTHENTICATED");
      const message = isEnded
        ? "the catalog does not know this VM any more: if that is not meant, join it again"
        : "cannot renew the VM token";
      this.deps.log[isEnded ? "error" : "warn"](message, { vmId: this.#state.vmId, error });
      return false;
    }
  }

  async #renewOnce(): Promise<HeldToken> {
    const askedMs = this.clock.monotonicMs();
    const { response, nonce } = await this.#askWithTime();
    const held = holdToken(response.vmToken, askedMs);
    this.#token = held;
    this.#setClock(held);
    const { tenantId, name } = response;
    this.#takeBundle(response.trustBundle, { tenantId, name, binding: nonce });
    return held;
  }

  /** A machine whose clock is wrong is told the time with the refusal, and asks once more by it. */
  async #askWithTime(): ReturnType<typeof callRenew> {
    const { client, key } = this.deps;
    const ask = () =>
      callRenew(
        client,
        key,
        { vmId: this.#state.vmId, now: this.clock.now() },
        this.#closing.signal,
      );
    try {
      return await ask();
    } catch (error) {
      const serverMs = isAppError(error, "UNAUTHENTICATED")
        ? Number(error.metadata["server_time_ms"])
        : Number.NaN;
      const behindMs = Number.isFinite(serverMs) ? this.clock.learn(new Date(serverMs)) : 0;
      if (Math.abs(behindMs) < REFUSED_SKEW_MS) throw error;
      this.deps.log.warn("this machine's clock is wrong, going by the catalog's", { behindMs });
      return ask();
    }
  }

  #setClock({ issuedAt }: HeldToken): void {
    const behindMs = this.clock.learn(issuedAt);
    if (Math.abs(behindMs) > REFUSED_SKEW_MS / 8)
      this.deps.log.warn("this machine's clock is off, going by the catalog's", { behindMs });
  }

  /** Keys that come under a key that is pinned already are pinned, too; others change nothing. */
  #takeBundle(
    bundle: TrustBundle | undefined,
    facts: { tenantId: string; name: string; binding: Buffer },
  ): void {
    const { vmId, deliveryPublicKeys: pinned } = this.#state;
    const keys = openTrustBundle(bundle, { vmId, ...facts }, pinnedAs(pinned));
    if (!keys || facts.tenantId !== this.#state.tenantId) {
      this.deps.log.error("the catalog's delivery keys are not signed by one that this VM pins");
      return;
    }
    const isSame =
      facts.name === this.#state.name &&
      keys.length === pinned.length &&
      keys.every(pinnedAs(pinned));
    if (isSame) return;
    this.#state = { ...this.#state, name: facts.name, deliveryPublicKeys: keys };
    writeVmState(this.deps.directory, this.#state);
    this.deps.log.info("delivery keys changed", { keys: keys.length });
  }
}

/** As a call, so that the compiler does not take an earlier answer for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
