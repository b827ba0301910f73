import { parseTime } from "./time";

const NOW = new Date("2030-01-01T00:00:00Z");

describe("a time on the command line", () => {
  it.each([
    ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"],
    ["2030-01-31T12:00+02:00", "2030-01-31T10:00:00.000Z"],
    ["30m", "2030-01-01T00:30:00.000Z"],
    ["24h", "2030-01-02T00:00:00.000Z"],
    ["30d", "2030-01-31T00:00:00.000Z"],
  ])("%s is read", (text, time) => {
    expect(parseTime("--at", text, NOW).toISOString()).toBe(time);
  });

  it.each([
    "",
    "tomorrow",
    "2030-01-31",
    "2030-01-31T12:00:00",
    "2030-13-01T00:00:00Z",
    "2030-02-31T00:00:00Z",
    "5s",
    "-1h",
  ])("%j is refused with the option's name", (text) => {
    expect(() => parseTime("--at", text, NOW)).toThrow("--at must be a time such as");
  });
});
