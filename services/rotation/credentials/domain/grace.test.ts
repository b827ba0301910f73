import { readGrace } from "./grace";

const LIST = "0, 900 (15m), 3600 (1h), 21600 (6h), 86400 (24h), 259200 (3d), 604800 (7d)";

describe("grace periods", () => {
  it.each([0, 900, 3600, 21_600, 86_400, 259_200, 604_800])("%d s is one", (seconds) => {
    expect(readGrace(seconds)).toBe(seconds);
  });

  it.each([1, -1, 899, 901, 604_801, 2_147_483_647])("%d s is refused with the list", (seconds) => {
    expect(() => readGrace(seconds)).toThrow(`grace_seconds ${seconds} is not one: ${LIST}`);
  });

  it("none is refused with the list: nothing is preselected", () => {
    expect(() => readGrace(undefined)).toThrow(`grace_seconds is required: ${LIST}`);
  });
});
