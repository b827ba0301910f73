import { sensitive } from "../../../lib/sensitive";
import { openAnswer, requestDigest, sealAnswer } from "./sealed-answer";

const REQUEST = {
  ...{ tenantId: "t1", caller: "developer:github/alice" },
  requestId: sensitive("f5d0a8a9-6ed3-4a51-9c34-7c4e3f1f0f5e"),
};
const VALUE = "mur_key_marked-value";

describe("a sealed answer", () => {
  const stored = sealAnswer(REQUEST, sensitive(VALUE));

  it("is opened by the same caller's same request id", () => {
    expect(openAnswer(REQUEST, stored).expose()).toBe(VALUE);
  });

  it.each([
    ["another request id", { requestId: sensitive("f5d0a8a9-6ed3-4a51-9c34-7c4e3f1f0f5f") }],
    ["another caller", { caller: "developer:github/bob" }],
    ["another tenant", { tenantId: "t2" }],
  ])("is not opened by %s", (_, change) => {
    expect(() => openAnswer({ ...REQUEST, ...change }, stored)).toThrow();
  });

  it("shows nothing of the value or of the request id, and differs each time", () => {
    const all = [stored, requestDigest(REQUEST)].map((it) => it.toString("latin1")).join();
    expect(all).not.toContain(VALUE);
    expect(all).not.toContain(REQUEST.requestId.expose());
    expect(sealAnswer(REQUEST, sensitive(VALUE))).not.toEqual(stored);
  });

  it("that was changed is refused", () => {
    for (let at = 0; at < stored.length; at++) {
      const changed = Buffer.from(stored);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openAnswer(REQUEST, changed)).toThrow();
    }
  });
});
