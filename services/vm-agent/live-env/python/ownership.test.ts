import { createTestDirectory } from "../test-directory";
import { OWNERSHIP_CASES, type OwnershipCase } from "../ownership-cases";
import { supportedPythons, start, type Python } from "./python-program";

/** What is in the mapping, in bytes, and what a child gets; both without what is not the case's. */
const LOOK = `
import subprocess
def without(block):
    return {k: v for k, v in block.items() if k in names}
names = json_names
child = subprocess.check_output(["/usr/bin/env", "-0"]).decode("utf8", "surrogateescape")
child = dict(line.split("=", 1) for line in child.split("\\0") if line)
result = [without(dict(os.environ)), without(child), without(os.environ.copy())]
`;

function look({ delivered, block, expected }: OwnershipCase): string {
  const names = [...delivered.map(({ set }) => set), block, expected].flatMap(Object.keys);
  return LOOK.replace("json_names", JSON.stringify(names));
}

describe.each(supportedPythons())("Python $version", (python: Python) => {
  it.each(OWNERSHIP_CASES)("at start: $name", async (given) => {
    const directory = createTestDirectory(given.delivered);
    const { block, blockGeneration: generation } = given;
    const program = start(python, { directory: directory.path, generation, block });
    const seen = await program.step(look(given));
    expect(await program.end()).toBe(0);
    directory.remove();
    expect(seen).toEqual([given.expected, given.expected, given.expected]);
  });

  it.each(OWNERSHIP_CASES)("across swaps: $name", async (given) => {
    const { block, blockGeneration: generation, delivered } = given;
    const before = delivered.filter((set) => set.generation <= (generation ?? 1));
    const directory = createTestDirectory(before);
    const program = start(python, { directory: directory.path, generation, block });
    await program.step("result = dict(os.environ)");
    for (const set of delivered.slice(before.length)) directory.swap(set);
    const seen = await program.step(look(given));
    expect(await program.end()).toBe(0);
    directory.remove();
    expect(seen).toEqual([given.expected, given.expected, given.expected]);
  });
});
