import { createHash } from "node:crypto";
import { sensitive } from "../sensitive";
import { createCredentialValue, readCredentialValue } from "./credential-value";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

describe("the value of a credential", () => {
  it.each([
    ["api-key", /^mur_key_[0-9A-Za-z]{49}$/],
    ["agent-token", /^mur_agt_[0-9A-Za-z]{49}$/],
  ] as const)("of an %s says what it is and shows its first characters", (kind, format) => {
    const { text, prefix } = createCredentialValue(kind);
    expect(text.expose()).toMatch(format);
    expect(text.expose().startsWith(prefix)).toBe(true);
    expect(prefix).toHaveLength(12);
  });

  it("is another one each time, and found again by its SHA-256", () => {
    const made = Array.from({ length: 200 }, () => createCredentialValue("api-key"));
    expect(new Set(made.map(({ text }) => text.expose())).size).toBe(200);
    for (const { text, hash } of made) {
      expect(readCredentialValue(text)).toEqual(hash);
      expect(hash).toEqual(createHash("sha256").update(text.expose()).digest());
    }
  });

  it("with one character changed is told from a real one without asking anybody", () => {
    const text = createCredentialValue("agent-token").text.expose();
    for (let at = 0; at < text.length; at++) {
      const other = DIGITS.charAt((DIGITS.indexOf(text.charAt(at)) + 1) % DIGITS.length);
      const changed = text.slice(0, at) + other + text.slice(at + 1);
      expect([at, readCredentialValue(sensitive(changed))]).toEqual([at, undefined]);
    }
  });

  it.each(["", "mur_key_", "x".repeat(57), `mur_key_${"a".repeat(48)}\n`, "mur_key_🙂"])(
    "%j is none",
    (text) => {
      expect(readCredentialValue(sensitive(text))).toBeUndefined();
    },
  );
});
