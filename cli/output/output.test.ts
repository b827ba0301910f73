import fc from "fast-check";
import { createLiveBlock } from "./live-block";
import { printable } from "./printable";
import { relativeTime } from "./relative-time";
import { createStyle } from "./style";
import { table } from "./table";

describe("printable text", () => {
  it("never steers a terminal, whatever comes in", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
      }),
    );
  });

  it("leaves words of any language as they are and shows the rest as escapes", () => {
    expect(printable("naïve 秘密 🔑")).toBe("naïve 秘密 🔑");
    expect(printable("a\nb\tc\u001b[31m\u009b\u202e")).toBe("a\\nb\\tc\\x1b[31m\\x9b\\u202e");
  });
});

describe("a table", () => {
  const columns = [
    { title: "NAME", text: ([name]: [string, string]) => name },
    { title: "WHY", text: ([, why]: [string, string]) => why },
  ];

  it("aligns its columns and keeps each row on one line", () => {
    const rows: [string, string][] = [
      ["a", "x\ny"],
      ["longer", ""],
    ];
    expect(table(rows, columns)).toEqual(["NAME    WHY", "a       x\\ny", "longer"]);
  });

  it("aligns by what is seen, not by the colours", () => {
    const style = createStyle({ isTTY: true }, {});
    const painted = columns.map((column) => ({ ...column, paint: style.red }));
    const lines = table([["a", "b"]] as [string, string][], painted, style.bold);
    // eslint-disable-next-line no-control-regex -- colours are taken off
    expect(lines.map((line) => line.replace(/\u001b\[\d+m/g, ""))).toEqual([
      "NAME  WHY",
      "a     b",
    ]);
  });
});

describe("colours", () => {
  it("are for terminals that know them, and for nobody who sets NO_COLOR", () => {
    const red = (isTTY: boolean, env: Record<string, string>) =>
      createStyle({ isTTY }, env).red("x");
    expect(red(true, {})).toBe("\u001b[31mx\u001b[39m");
    expect([red(false, {}), red(true, { NO_COLOR: "1" }), red(true, { TERM: "dumb" })]).toEqual([
      "x",
      "x",
      "x",
    ]);
  });
});

describe("a relative time", () => {
  it("is told in the largest unit that fits", () => {
    const now = new Date("2026-01-10T00:00:00Z");
    const at = (seconds: number) => relativeTime(new Date(now.getTime() - seconds * 1_000), now);
    expect([0.4, 9, 10, 59.7, 90, 7_300, 90_000, 864_000, -599.9].map(at)).toEqual([
      "just now",
      "just now",
      "10 seconds ago",
      "1 minute ago",
      "1 minute ago",
      "2 hours ago",
      "1 day ago",
      "10 days ago",
      "in 10 minutes",
    ]);
    expect(relativeTime(undefined, now)).toBe("-");
  });
});

describe("a live block", () => {
  const record = (stream: { isTTY: boolean; columns?: number }) => {
    const written: string[] = [];
    const live = createLiveBlock({ ...stream, write: (text) => written.push(text) });
    return { written, live };
  };

  it("writes nothing where there is no terminal", () => {
    const { written, live } = record({ isTTY: false });
    live.show(["a"]);
    live.clear();
    expect(written).toEqual([]);
  });

  it("stands in place of the one before and goes without a trace", () => {
    const { written, live } = record({ isTTY: true });
    live.show(["a", "b"]);
    live.show(["c"]);
    live.clear();
    live.clear();
    expect(written).toEqual(["\u001b[0Ja\nb\n", "\u001b[2A\r\u001b[0Jc\n", "\u001b[1A\r\u001b[0J"]);
  });

  it("cuts lines that would wrap, since those could not be taken back", () => {
    const { written, live } = record({ isTTY: true, columns: 20 });
    live.show(["x".repeat(40)]);
    expect(written).toEqual([`\u001b[0J${"x".repeat(18)}…\n`]);
  });
});
