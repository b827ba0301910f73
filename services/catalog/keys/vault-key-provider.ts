import { readFile } from "node:fs/promises";
import createVault from "node-vault";
import { unavailable } from "../../../lib/errors";
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
  const call = createCall(options);
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
  };
}

function createCall(options: VaultKeyProviderOptions): VaultCall {
  const { address, tokenFile, transitKey, timeoutMs = 2_000 } = options;
  // Its debug output would hold data keys.
  const vault = createVault({ endpoint: address, debug: () => undefined });
  return async (operation, items) => {
    const path = `transit/${operation}/${encodeURIComponent(transitKey)}`;
    try {
      // Sent as a header and not set on the client: calls run side by side.
      const headers = { "X-Vault-Token": (await readFile(tokenFile, "utf8")).trim() };
      const body = { batch_input: items };
      const answer = (await vault.write(path, body, { headers, timeout: timeoutMs })) as {
        data?: { batch_results?: BatchItem[] };
      };
      return answer.data?.batch_results ?? [];
    } catch (error) {
      throw toKeyProviderError(error);
    }
  };
}

/** 400 is about the key that was sent; all else (403, 503 sealed, no answer) is Vault's state. */
function toKeyProviderError(error: unknown): Error {
  const statusCode = (error as { response?: { statusCode?: number } }).response?.statusCode;
  const reason = statusCode === undefined ? "no answer" : `status ${statusCode}`;
  if (statusCode === 400) return new WrappedKeyRefused(NAME, reason);
  // The error itself may hold the request, and so the token: only its kind goes on.
  return unavailable("the key provider is away", new Error(`Vault: ${reason}`));
}

function toWrapped(ciphertext: string | undefined): Buffer {
  if (ciphertext === undefined) throw new WrappedKeyRefused(NAME);
  return Buffer.from(ciphertext, "utf8");
}
