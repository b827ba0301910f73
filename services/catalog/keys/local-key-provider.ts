import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { unavailable } from "../../../lib/errors";
import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { WrappedKeyRefused, type KeyProvider } from "./key-provider";
import type { Keyring, KeyringKey } from "./local-keyring";

const IV_BYTES = 12;
const TAG_BYTES = 16;
const NAME = "local";

/**
 * Wraps under the keys of a local keyring, the last of which is the newest. Wrapped: length of the
 * key's id, id, IV, ciphertext, tag; the id is authenticated with the rest.
 */
export function createLocalKeyProvider(keyring: Keyring): KeyProvider {
  // Another process may have added a key since this one read the keyring.
  const newest = () => newestOf(reading(() => keyring.read()));
  const unwrap = (wrapped: Buffer) => {
    const known = keyOf(keyring.known(), wrapped);
    return unwrapUnder(
      known ??
        keyOf(
          reading(() => keyring.read()),
          wrapped,
        ),
      wrapped,
    );
  };
  return {
    name: NAME,
    wrap: async (key) => Promise.resolve(wrapUnder(newest(), key)),
    unwrap: async (wrapped) => Promise.resolve(unwrap(wrapped)),
    rewrap: async (wrapped) => {
      const under = newest();
      return Promise.resolve(wrapped.map((one) => wrapUnder(under, unwrap(one))));
    },
    rotate: async () => {
      reading(() => {
        keyring.add();
      });
      return Promise.resolve();
    },
  };
}

/** A keyring that cannot be read, or written, is a provider that is away. */
function reading<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw unavailable("the key provider is away", error);
  }
}

function newestOf(keys: readonly KeyringKey[]): KeyringKey {
  const newest = keys.at(-1);
  if (!newest) throw new Error("a keyring has at least one key");
  return newest;
}

/** The key whose id a wrapped key begins with. */
function keyOf(keys: readonly KeyringKey[], wrapped: Buffer): KeyringKey | undefined {
  const id = wrapped.subarray(1, 1 + (wrapped[0] ?? 0)).toString("utf8");
  return keys.find((entry) => entry.id === id);
}

function wrapUnder({ id, key }: KeyringKey, plain: Sensitive<Buffer>): Buffer {
  const header = headerOf(id);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.expose(), iv).setAAD(header);
  const ciphertext = Buffer.concat([cipher.update(plain.expose()), cipher.final()]);
  return Buffer.concat([header, iv, ciphertext, cipher.getAuthTag()]);
}

function unwrapUnder(entry: KeyringKey | undefined, wrapped: Buffer) {
  const headerBytes = 1 + (wrapped[0] ?? 0);
  if (!entry || wrapped.length < headerBytes + IV_BYTES + TAG_BYTES)
    throw new WrappedKeyRefused(NAME);
  const ivEnd = headerBytes + IV_BYTES;
  const tagStart = wrapped.length - TAG_BYTES;
  const decipher = createDecipheriv(
    "aes-256-gcm",
    entry.key.expose(),
    wrapped.subarray(headerBytes, ivEnd),
  );
  decipher.setAAD(wrapped.subarray(0, headerBytes)).setAuthTag(wrapped.subarray(tagStart));
  const plain = decipher.update(wrapped.subarray(ivEnd, tagStart));
  try {
    decipher.final();
  } catch (error) {
    throw new WrappedKeyRefused(NAME, error);
  }
  return sensitive(plain);
}

function headerOf(id: string): Buffer {
  const bytes = Buffer.from(id);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
