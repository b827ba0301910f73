import { parseStackOptions, usageAskedFor, UsageError } from "./options";

test("the usage is shown when it is asked for, and names every option", () => {
  expect(usageAskedFor([])).toBeUndefined();
  const usage = usageAskedFor(["--with", "kafka", "--help"]) ?? "";
  for (const option of ["--with kafka", "--with vault", "--vms", "--json", "--data", "--fresh"])
    expect(usage).toContain(option);
});

test.each([
  [["--nope"], false, /--nope/],
  [["--with", "redis"], false, /--with takes kafka or vault, not "redis"/],
  [["--vms", "0"], false, /--vms takes a number from 1 to 50, not "0"/],
  [["--ports", "x"], false, /--ports takes a number from 1 to 65000, not "x"/],
  [["--fresh"], true, /the demo keeps nothing/],
] as const)("%j is refused with a word that helps", (args, isDemo, message) => {
  expect(() => parseStackOptions(args, isDemo)).toThrow(UsageError);
  expect(() => parseStackOptions(args, isDemo)).toThrow(message);
});
