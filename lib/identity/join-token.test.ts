import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { sensitive } from "../sensitive";
import { createJoinToken, deliveryKeyPin, joinTokenHash, parseJoinToken } from "./join-token";

const parse = (text: string) => parseJoinToken(sensitive(text));

describe("a join token", () => {
  it("is read as it was made, whatever its bytes, and pins the delivery key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        const made = createJoinToken(key);
        const text = made.text.expose();
        const read = parse(text);
        expect(read).toMatchObject({ id: made.id, pin: made.pin });
        expect(read?.text.expose()).toBe(text);
        const digest = createHash("sha256").update(key).digest();
        expect(text.slice(-22)).toBe(digest.subarray(0, 16).toString("base64url"));
        expect(deliveryKeyPin(key)).toEqual(made.pin);
      }),
    );
  });

  it("is another one each time, and its hash tells them apart", () => {
    const key = randomBytes(32);
    const [one, two] = [createJoinToken(key), createJoinToken(key)];
    expect(one.id).not.toBe(two.id);
    expect(joinTokenHash(one.text)).not.toEqual(joinTokenHash(two.text));
    expect(joinTokenHash(one.text)).toEqual(
      createHash("sha256").update(one.text.expose()).digest(),
    );
  });

  it("with one character changed, added or lost is none, or another one", () => {
    const { text } = createJoinToken(randomBytes(32));
    const whole = text.expose();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.string({ maxLength: 2 }), (at, put) => {
        const changed = whole.slice(0, at) + put + whole.slice(at + 1);
        fc.pre(changed !== whole);
        const read = parse(changed);
        if (put.length !== 1) expect(read).toBeUndefined();
        else if (read) expect(joinTokenHash(read.text)).not.toEqual(joinTokenHash(text));
      }),
    );
  });

  it("has one spelling: bits that base64url leaves over must be 0", () => {
    const whole = createJoinToken(Buffer.alloc(32)).text.expose();
    const last = whole.slice(-1);
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const spellings = Array.from(letters, (letter) => letter)
      .map((letter) => whole.slice(0, -1) + letter)
      .filter((text) => parse(text)?.pin.equals(parse(whole)?.pin ?? Buffer.alloc(0)));
    expect(spellings).toEqual([whole.slice(0, -1) + last]);
  });

  it("is no other text, and never fails to say so", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `mur_join_${text}`),
        ),
        (text) => {
          expect(parse(text)).toBeUndefined();
        },
      ),
    );
  });

  it("does not print itself", () => {
    const token = createJoinToken(randomBytes(32));
    expect(JSON.stringify(token)).not.toContain(token.text.expose().slice(32, 75));
  });
});
