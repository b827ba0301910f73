import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type EnvReader, realEnvReaders } from "../../../test/harness/env-readers/env-readers";
import { sensitive } from "../../../lib/sensitive";
import { type EnvSet } from "./env-set";
import { render, type RenderedSet } from "./render";
import { envSetOf, nastyValue } from "../../../test/harness/env-sets";

let readers: EnvReader[];
let directory: string;

beforeAll(async () => {
  readers = await realEnvReaders();
  directory = mkdtempSync(join(tmpdir(), "murmur-forms-"));
}, 300_000);

afterAll(() => {
  rmSync(directory, { recursive: true });
});

test("every reader of a form reads exactly the bytes that were rendered", async () => {
  // Many values at a time, since each run starts eleven programs.
  const values = fc.array(nastyValue(), { minLength: 60, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(values, async (generated) => {
      await expectAllReadersAgree(envSetOf(generated));
    }),
    { numRuns: 15, endOnFailure: true },
  );
}, 120_000);

test("every reader reads values of 64 KiB, of any shape that its form carries", async () => {
  const lines = "0123456789abcde\n".repeat(4096);
  const quotes = `"$'\\x `.repeat(9362);
  const wide = "日".repeat(21_845);
  await expectAllReadersAgree(envSetOf([lines, quotes, wide, "=".repeat(65_000)]));
}, 60_000);

test("docker reads the longest line that env.docker carries, and would not read a longer one", async () => {
  const longest = 64 * 1024 - 1 - "NAME_0=".length;
  const whole = render(envSetOf(["x".repeat(longest)]), { directory: "/run/x", docker: true });
  expect(whole.omitted).toEqual([]);
  const longer = render(envSetOf(["x".repeat(longest + 1)]), { directory: "/run/x", docker: true });
  expect(longer.omitted.map(({ form }) => form)).toEqual(["env.docker"]);
  const docker = readers.find(({ name }) => name === "docker")!;
  const path = write(whole, "env.docker");
  expect((await docker.read(path)).get("NAME_0")?.length).toBe(longest);
  appendFileSync(path, `LONGER=${"x".repeat(64 * 1024)}\n`);
  await expect(docker.read(path)).rejects.toThrow();
});

test("every reader reads each hard piece alone, at both ends, doubled, and between others", async () => {
  const pieces = fc.sample(nastyValue(), { numRuns: 150, seed: 7 });
  const hard = ["'", '"', "\\", "$", "${A}", "`", "#", "=", "\n", "\r", "\t", " ", "!", "é", "🗝"];
  const placed = hard.flatMap((it) => [it, `${it}x`, `x${it}`, `${it}${it}`, `x${it}y${it}z`]);
  await expectAllReadersAgree(envSetOf([...placed, ...pieces, ""]));
}, 60_000);

test("sourcing env.sh unsets what vanished and runs, prints and reads nothing", async () => {
  const values = ["$(touch pwned)", "`touch pwned`", "; exit 3", "\nexit 3\n", "'; exit 3; '"];
  const set = { ...envSetOf(values), unset: ["GONE", "NEVER_THERE"] };
  const path = write(render(set, { directory: "/run/x" }), "env.sh");
  const around = join(directory, "around.sh");
  writeFileSync(around, `export GONE=old KEPT=yes\n. ${path}\n`);
  for (const reader of readers.filter(({ form }) => form === "env.sh")) {
    const seen = await reader.read(around);
    expect(seen.has("GONE")).toBe(false);
    expect(seen.get("KEPT")?.toString()).toBe("yes");
    expect(seen.get("NAME_4")?.toString()).toBe(values[4]);
  }
});

async function expectAllReadersAgree(set: EnvSet): Promise<void> {
  const rendered = render(set, { directory: "/run/murmur/agents/agent-1", docker: true });
  for (const reader of readers) {
    const seen = await reader.read(write(rendered, reader.form));
    const expected = expectedOf(set, rendered, reader.form);
    const differing = [...expected].filter(([name, value]) => !seen.get(name)?.equals(value));
    expect({ reader: reader.name, differing }).toEqual({ reader: reader.name, differing: [] });
    expect({ reader: reader.name, names: [...seen.keys()].sort() }).toEqual({
      reader: reader.name,
      names: [...expected.keys()].sort(),
    });
  }
}

/** What the set holds for a form, without asking any code of ours how the form is read. */
function expectedOf(set: EnvSet, rendered: RenderedSet, form: string): Map<string, Buffer> {
  const leftOut = rendered.omitted.filter((it) => it.form === form).map(({ name }) => name);
  const own = [
    ["MURMUR_DIR", "/run/murmur/agents/agent-1"],
    ["MURMUR_ENV_FILE", "/run/murmur/agents/agent-1/env"],
    ["MURMUR_GENERATION", set.generation.toString()],
  ].map(([name = "", value = ""]) => ({ name, value: sensitive<Uint8Array>(Buffer.from(value)) }));
  return new Map(
    [...set.variables, ...own]
      .filter(({ name }) => !leftOut.includes(name))
      .map(({ name, value }) => [name, Buffer.from(value.expose())]),
  );
}

function write(rendered: RenderedSet, form: string): string {
  const path = join(directory, form);
  writeFileSync(path, rendered.files.find((file) => file.path === form)!.content.expose());
  return path;
}
