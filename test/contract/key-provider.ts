import { randomBytes } from "node:crypto";
import { sensitive } from "../../lib/sensitive";
import { type KeyProvider, WrappedKeyRefused } from "../../services/catalog/keys/key-provider";

export interface KeyProviderUnderTest {
  provider: KeyProvider;
  /** Another one, with other keys. */
  stranger: KeyProvider;
  /** The same, as another process opens it. */
  another: KeyProvider;
}

/** What every key provider promises. */
export function describeKeyProvider(
  name: string,
  setUp: () => Promise<KeyProviderUnderTest>,
): void {
  describe(`key provider ${name}`, () => {
    let parts: KeyProviderUnderTest;
    beforeAll(async () => {
      parts = await setUp();
    });
    const newKey = () => sensitive(randomBytes(64));

    it("unwraps what it wrapped, byte for byte", async () => {
      const key = newKey();
      const wrapped = await parts.provider.wrap(key);
      expect((await parts.provider.unwrap(wrapped)).expose()).toEqual(key.expose());
    });

    it("gives nothing of the key away in what it wrapped", async () => {
      const key = newKey();
      const wrapped = await parts.provider.wrap(key);
      expect(wrapped.includes(key.expose().subarray(0, 8))).toBe(false);
      expect(wrapped.toString()).not.toContain(key.expose().toString("base64").slice(0, 12));
    });

    it("wraps the same key differently each time", async () => {
      const key = newKey();
      expect(await parts.provider.wrap(key)).not.toEqual(await parts.provider.wrap(key));
    });

    it("refuses a wrapped key that was changed, wherever", async () => {
      const wrapped = await parts.provider.wrap(newKey());
      for (const at of [0, 1, Math.floor(wrapped.length / 2), wrapped.length - 3]) {
        const changed = Buffer.from(wrapped);
        changed[at] = changed[at]! ^ 0x04;
        await expect(parts.provider.unwrap(changed)).rejects.toThrow(WrappedKeyRefused);
      }
    });

    it("refuses what is no wrapped key at all", async () => {
      for (const junk of [Buffer.alloc(0), Buffer.from("x"), randomBytes(300)])
        await expect(parts.provider.unwrap(junk)).rejects.toThrow(WrappedKeyRefused);
    });

    it("refuses a key that another one wrapped", async () => {
      const wrapped = await parts.stranger.wrap(newKey());
      await expect(parts.provider.unwrap(wrapped)).rejects.toThrow(WrappedKeyRefused);
    });

    it("still unwraps under an older key-encryption key, and rewraps under the newest", async () => {
      const keys = Array.from({ length: 501 }, newKey);
      const old = await Promise.all(keys.slice(0, 3).map((key) => parts.provider.wrap(key)));
      const after = parts.provider;
      await after.rotate();
      expect((await after.unwrap(old[0]!)).expose()).toEqual(keys[0]!.expose());
      const rewrapped = await after.rewrap(old);
      for (const [index, wrapped] of rewrapped.entries()) {
        expect(wrapped).not.toEqual(old[index]);
        expect((await after.unwrap(wrapped)).expose()).toEqual(keys[index]!.expose());
      }
    });

    it("unwraps what another process wrapped under a newer key-encryption key, and uses that, too", async () => {
      const [key, old] = [newKey(), await parts.provider.wrap(newKey())];
      await parts.another.rotate();
      const wrapped = await parts.another.wrap(key);
      expect((await parts.provider.unwrap(wrapped)).expose()).toEqual(key.expose());
      const rewrapped = await parts.provider.rewrap([old]);
      // `vault:v3:…`, or the length of an id and the id.
      const version = (it: Buffer) =>
        it
          .toString("latin1")
          .replace(/^(vault:v\d+):.*$/s, "$1")
          .slice(0, 37);
      expect(version(rewrapped[0]!)).toBe(version(wrapped));
      expect(version(old)).not.toBe(version(wrapped));
    });

    it("rewraps more keys than fit in one batch, in order", async () => {
      const key = newKey();
      const wrapped = Array.from<Buffer>({ length: 501 }).fill(await parts.provider.wrap(key));
      const last = newKey();
      wrapped.push(await parts.provider.wrap(last));
      const rewrapped = await parts.provider.rewrap(wrapped);
      expect(rewrapped).toHaveLength(502);
      expect((await parts.provider.unwrap(rewrapped[501]!)).expose()).toEqual(last.expose());
    });

    it("rewraps nothing when one of the keys is refused", async () => {
      const good = await parts.provider.wrap(newKey());
      const bad = await parts.stranger.wrap(newKey());
      await expect(parts.provider.rewrap([good, bad])).rejects.toThrow(WrappedKeyRefused);
    });
  });
}
