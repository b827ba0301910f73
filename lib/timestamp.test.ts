import { readTimestamp } from "./timestamp";

describe("a time in a request", () => {
  it.each([undefined, new Date(0), new Date("0001-01-01"), new Date("9999-12-31T23:59:59.999Z")])(
    "may be %p",
    (time) => {
      expect(readTimestamp("at", time)).toBe(time);
    },
  );

  it.each([NaN, 8.64e15, -8.64e15, Date.parse("+010000-01-01T00:00:00Z")])(
    "may not be %p milliseconds: the error names the field",
    (ms) => {
      expect(() => readTimestamp("at", new Date(ms))).toThrow(
        "at must be a time from the year 1 to the year 9999",
      );
    },
  );
});
