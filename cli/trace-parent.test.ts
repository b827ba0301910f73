import { traceParent } from "./trace-parent";

describe("the trace of a command", () => {
  it("is that of whoever called it, and a new one each time otherwise", () => {
    const given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect(traceParent({ TRACEPARENT: given })).toBe(given);
    const made = [{}, {}, { TRACEPARENT: "garbled\r\n" }].map(traceParent);
    for (const trace of made) expect(trace).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(new Set(made).size).toBe(3);
  });
});
