import { deriveKey } from "./derive-key";
import { sensitive } from "../sensitive";
import { generateSigningKey, parseSigningKey, signingKeyToJwk } from "./signing-key";

describe("a key that is derived from a signing key", () => {
  const signingKey = generateSigningKey("murmur-test");
  const bytesOf = (key: ReturnType<typeof deriveKey>) => key.export().toString("hex");

  it("is the same after the signing key was read from its file again", () => {
    const again = parseSigningKey(signingKeyToJwk(signingKey));
    expect(bytesOf(deriveKey(again, "a"))).toBe(bytesOf(deriveKey(signingKey, "a")));
  });

  it("is another one for another purpose and for another signing key", () => {
    const own = bytesOf(deriveKey(signingKey, "a"));
    expect(bytesOf(deriveKey(signingKey, "b"))).not.toBe(own);
    expect(bytesOf(deriveKey(generateSigningKey("murmur-test"), "a"))).not.toBe(own);
  });

  it("is the one that records were made with so far", () => {
    const jwk = { kty: "OKP", crv: "Ed25519", kid: "k", iss: "murmur-rotation" };
    const known = {
      x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
      d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    };
    const key = parseSigningKey(sensitive(JSON.stringify({ ...jwk, ...known })));
    expect(bytesOf(deriveKey(key, "murmur-agent-binding-v1"))).toBe(
      "a538cab549566d95bf2758e714b174e4a92f6a56505d6b1f6d3ded6de449c67d",
    );
  });
});
