import { isAfter, readPosition } from "./position";

const at = (text: string) => readPosition(text)!;

describe("a position", () => {
  it.each([
    ["10:10:", 10n, 10n],
    ["10:20:10,14,19", 10n, 20n],
    ["10:20:14", 10n, 20n],
    ["9223372036854775807:9223372036854775807:", 2n ** 63n - 1n, 2n ** 63n - 1n],
  ])("is a snapshot: %s", (text, from, to) => {
    expect(readPosition(text)).toEqual({ text, from, to });
  });

  it.each([
    ...["", "x", "1", "1:1", "0:1:", "1:0:", "2:1:", "01:2:", "1:2:3", "2:4:1", "2:9:5,4", "1:9:,"],
    ...["1:9:2,", "-1:2:", "1:2: ", " 1:2:", "1:2:\n", "9223372036854775808:9223372036854775809:"],
    `1:9:${"5,".repeat(200_000)}5`,
  ])("is nothing else: %.30s", (text) => {
    expect(readPosition(text)).toBeUndefined();
  });

  it("comes after another unless the database was set back", () => {
    expect(isAfter(at("10:20:"), at("10:20:14"))).toBe(true);
    expect(isAfter(at("11:20:"), at("10:20:"))).toBe(true);
    expect(isAfter(at("9:30:"), at("10:20:"))).toBe(false);
    expect(isAfter(at("10:19:"), at("10:20:"))).toBe(false);
  });
});
