import fc from "fast-check";
import { areWithin, isInScope, isScope } from "./scope";

const rest = (method: string, path: string) => ({ kind: "rest" as const, method, path });
const rpc = (path: string) => ({ kind: "rpc" as const, path });

describe("scopes", () => {
  it.each([
    "GET /v1/keys",
    "POST /v1/*",
    "DELETE /",
    "GET /*",
    "murmur.rotation.v1.RolloutService/RekeyAgent",
  ])("%s is one", (text) => {
    expect(isScope(text)).toBe(true);
  });

  it.each([
    "",
    "GET",
    "/v1/keys",
    "get /v1/keys",
    "GET v1/keys",
    "GET  /v1",
    "GET /v1 /v2",
    "GET /a*b",
    "GET /a**",
    "GET /a?b=c",
    "GET /\u00e4",
    "FETCH /v1",
    "Service/Method",
    "/murmur.v1.S/M",
    "murmur.v1.S/M*",
    "murmur.v1.S",
    "GET /\n",
    `GET /${"a".repeat(260)}`,
  ])("%j is none", (text) => {
    expect(isScope(text)).toBe(false);
  });

  it("covers exactly what it names", () => {
    expect(isInScope(["GET /v1/keys"], rest("GET", "/v1/keys"))).toBe(true);
    expect(isInScope(["GET /v1/keys"], rest("GET", "/v1/keys/1"))).toBe(false);
    expect(isInScope(["GET /v1/keys"], rest("POST", "/v1/keys"))).toBe(false);
    expect(isInScope(["GET /v1/keys/*"], rest("GET", "/v1/keys/1"))).toBe(true);
    expect(isInScope(["GET /v1/keys/*"], rest("GET", "/v1/keys"))).toBe(false);
    expect(isInScope(["a.v1.S/M"], rpc("/a.v1.S/M"))).toBe(true);
    expect(isInScope(["a.v1.S/M"], rpc("/a.v1.S/N"))).toBe(false);
    expect(isInScope(["GET /*"], rpc("/a.v1.S/M"))).toBe(false);
    expect(isInScope(["a.v1.S/M"], rest("GET", "/a.v1.S/M"))).toBe(false);
  });

  it("of another set lie within it when they name no more", () => {
    const own = ["GET /v1/keys*", "POST /v1/a", "a.v1.S/M"];
    expect(areWithin(own, own)).toBe(true);
    expect(areWithin(own, ["GET /v1/keys/1", "GET /v1/keys/*"])).toBe(true);
    expect(areWithin([], [])).toBe(true);
    for (const more of ["GET /v1/*", "POST /v1/a*", "POST /v1/keys", "a.v1.S/N", "GET /*"])
      expect([more, areWithin(own, ["a.v1.S/M", more])]).toEqual([more, false]);
    expect(areWithin(own, [])).toBe(false);
  });

  it("allow no use that is not allowed by a set that they lie within", () => {
    const path = fc.string({ unit: fc.constantFrom("a", "/"), maxLength: 3 });
    const scope = fc.tuple(path, fc.constantFrom("", "*")).map(([it, end]) => `GET /${it}${end}`);
    const scopes = fc.array(scope, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(scopes, scopes, path, (own, wanted, used) => {
        fc.pre(areWithin(own, wanted) && isInScope(wanted, rest("GET", `/${used}`)));
        expect(isInScope(own, rest("GET", `/${used}`))).toBe(true);
      }),
    );
  });

  it("allows everything when there are none", () => {
    expect(isInScope([], rest("DELETE", "/v1/keys/1"))).toBe(true);
  });

  it("allows a use by several scopes when one of them does alone", () => {
    const path = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 4 });
    const scope = fc.tuple(path, fc.constantFrom("", "*")).map(([it, end]) => `GET /${it}${end}`);
    fc.assert(
      fc.property(fc.array(scope, { minLength: 1, maxLength: 4 }), path, (scopes, used) => {
        const use = rest("GET", `/${used}`);
        expect(isInScope(scopes, use)).toBe(scopes.some((one) => isInScope([one], use)));
      }),
    );
  });
});
