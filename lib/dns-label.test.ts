import { dnsLabelFault, isDnsLabel } from "./dns-label";

describe("a DNS label", () => {
  it.each(["a", "0", "fix-auth", "a--b", "x".repeat(63)])("may be %p", (text) => {
    expect(dnsLabelFault("slug", text)).toBeUndefined();
  });

  it.each(["", "-a", "a-", "A", "a_b", "a.b", "a\n", "ä", "x".repeat(64), "a/b"])(
    "may not be %p",
    (text) => {
      expect(isDnsLabel(text)).toBe(false);
    },
  );

  it("is refused with the rule and the name", () => {
    expect(dnsLabelFault("slug", "x_y")).toBe(
      'slug "x_y" must be a DNS label: lowercase letters, digits and hyphens, at most 63',
    );
  });

  it("is refused in a short sentence, however long the name", () => {
    expect(dnsLabelFault("slug", "A".repeat(1_000_000))!.length).toBeLessThan(200);
  });
});
