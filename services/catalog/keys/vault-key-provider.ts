import { readFile } from "node:fs/promises";
import createVault from "node-vault";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type AppError, failedPrecondition, unavailable } from "../../../lib/errors";
import { sensitive } from "../../../lib/sensitive";
import { WrappedKeyRefused, type KeyProvider } from "./key-provider";

/** A batch of 500 items is refused by the server; smaller ones cost no more per item. */
const MAX_BATCH = 250;
const NAME = "vault-transit";

export interface VaultKeyProviderOptions {
  /** http(s)://host:port */
  address: string;
  /** Read before each call, so that whoever renews the token only writes this file. */
  tokenFile: string;
  /** Name of the transit key; made on first use when the token may. */
  transitKey: string;
  /** Limit of one call: without it a frozen server would be waited for for ever. */
  timeoutMs?: number;
}

interface BatchItem {
  ciphertext?: string;
  plaintext?: string;
  error?: string;
}

type VaultCall = (operation: string, items: object[]) => Promise<BatchItem[]>;

/**
 * Wraps under a key of Vault's transit engine (OpenBao has the same). Vault being away, sealed or
 * refusing the token is UNAVAILABLE.
 */
export function createVaultKeyProvider(options: VaultKeyProviderOptions): KeyProvider {
  const write = createWrite(options);
  const call = createCall(write, options.transitKey);
  const rewrap = async (wrapped: readonly Buffer[]) => {
    const items = wrapped.map((one) => ({ ciphertext: one.toString("utf8") }));
    return (await call("rewrap", items)).map(({ ciphertext }) => toWrapped(ciphertext));
  };
  return {
    name: NAME,
    async wrap(key) {
      const items = [{ plaintext: key.expose().toString("base64") }];
      const [item] = await call("encrypt", items);
      return toWrapped(item?.ciphertext);
    },
    async unwrap(wrapped) {
      const [item] = await call("decrypt", [{ ciphertext: wrapped.toString("utf8") }]);
      if (item?.plaintext === undefined) throw new WrappedKeyRefused(NAME, item?.error);
      return sensitive(Buffer.from(item.plaintext, "base64"));
    },
    async rewrap(wrapped) {
      const batches: Buffer[][] = [];
      for (let start = 0; start < wrapped.length; start += MAX_BATCH)
        batches.push(await rewrap(wrapped.slice(start, start + MAX_BATCH)));
      return batches.flat();
    },
    async rotate() {
      try {
        await write(`transit/keys/${encodeURIComponent(options.transitKey)}/rotate`, {});
      } catch (error) {
        throw statusOf(error) === 403 ? rotationRefused() : toKeyProviderError(error);
      }
    },
  };
}

/** Throws what node-vault does, which may hold the request, and so the token. */
function createWrite({ address, tokenFile, timeoutMs = 2_000 }: VaultKeyProviderOptions) {
  // Its debug output would hold data keys.
  const vault = createVault({ endpoint: address, debug: () => undefined });
  return async (path: string, body: object): Promise<unknown> => {
    // Sent as a header and not set on the client: calls run side by side.
    const headers = { "X-Vault-Token": (await readFile(tokenFile, "utf8")).trim() };
    return vault.write(path, body, { headers, timeout: timeoutMs });
  };
}

function createCall(write: ReturnType<typeof createWrite>, transitKey: string): VaultCall {
  return async (operation, items) => {
    const path = `transit/${operation}/${encodeURIComponent(transitKey)}`;
    try {
      const answer = (await write(path, { batch_input: items })) as {
        data?: { batch_results?: BatchItem[] };
      };
      return answer.data?.batch_results ?? [];
    } catch (error) {
      throw toKeyProviderError(error);
    }
  };
}

function statusOf(error: unknown): number | undefined {
  return (error as { response?: { statusCode?: number } }).response?.statusCode;
}

/** Some operators keep this to themselves. */
function rotationRefused(): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_KEY_ROTATION_REFUSED,
    "Vault does not let the catalog rotate its key: have it rotated there, then wrap again only",
    { key_provider: NAME },
  );
}

/** 400 is about the key that was sent; all else (403, 503 sealed, no answer) is Vault's state. */
function toKeyProviderError(error: unknown): Error {
  const statusCode = statusOf(error);
  const reason = statusCode === undefined ? "no answer" : `status ${statusCode}`;
  if (statusCode === 400) return new WrappedKeyRefused(NAME, reason);
  // The error itself may hold the request, and so the token: only its kind goes on.
  return unavailable("the key provider is away", new Error(`Vault: ${reason}`));
}

function toWrapped(ciphertext: string | undefined): Buffer {
  if (ciphertext === undefined) throw new WrappedKeyRefused(NAME);
  return Buffer.from(ciphertext, "utf8");
}
