import { inspect } from "node:util";
import { createLog } from "./log";
import { sensitive } from "./sensitive";

describe("Sensitive", () => {
  const value = sensitive("hunter2");

  it("gives its value to expose alone", () => {
    expect(value.expose()).toBe("hunter2");
    const prints = [
      String(value),
      // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- that is the point
      `${value}`,
      JSON.stringify({ value }),
      inspect({ value }, { depth: 9, showHidden: true }),
    ];
    for (const print of prints) expect(print).not.toContain("hunter2");
    expect(Object.keys(value)).toEqual([]);
  });

  it("is masked in log lines, in errors' properties too", () => {
    const lines: string[] = [];
    const log = createLog("test", "info", { write: (line) => lines.push(line) });
    const error = Object.assign(new Error("failed"), { request: "hunter2" });
    log.info("stored", { value, nested: { value } });
    log.error("failed", { error });
    log.child({ value }).warn("again");
    expect(lines).toHaveLength(3);
    expect(lines.join("")).not.toContain("hunter2");
    expect(lines[0]).toContain('"value":"[sensitive]"');
  });
});
