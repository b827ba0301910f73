import { installForTest, parseBlock, pick } from "../exec/exec-program";
import { OWNERSHIP_CASES, type OwnershipCase } from "../ownership-cases";
import { createTestDirectory } from "../test-directory";
import { endPrograms, runBash, startBash, type Layers } from "./bash-program";

let layers: Layers;
beforeAll(() => void (layers = installForTest()));
afterEach(endPrograms);
afterAll(() => layers.remove());

function namesOf({ delivered, block, expected }: OwnershipCase): string[] {
  return [...delivered.map(({ set }) => set), block, expected].flatMap(Object.keys);
}

/** Prints the shell's own variables, and what a child gets. */
function look(given: OwnershipCase) {
  const names = [...new Set(namesOf(given))].join(" ");
  return {
    own: `for n in ${names}; do [[ ! -v $n ]] || printf '%s=%s\\0' "$n" "\${!n}"; done`,
    child: "env -0",
  };
}

it.each(OWNERSHIP_CASES)("at start: $name", (given) => {
  const directory = createTestDirectory(given.delivered);
  const { block, blockGeneration: generation, expected } = given;
  const at = { directory: directory.path, generation, block };
  for (const commands of Object.values(look(given))) {
    const seen = runBash(layers, at, "-c", commands);
    expect(seen).toMatchObject({ status: 0, stderr: "" });
    expect(pick(parseBlock(seen.stdout), namesOf(given))).toEqual(expected);
  }
  directory.remove();
});

it.each(OWNERSHIP_CASES)("across swaps: $name", async (given) => {
  const { block, blockGeneration: generation, expected, delivered } = given;
  const before = delivered.filter((set) => set.generation <= (generation ?? 1));
  const directory = createTestDirectory(before);
  const program = startBash(layers, { directory: directory.path, generation, block });
  await program.step(":");
  for (const set of delivered.slice(before.length)) directory.swap(set);
  for (const commands of Object.values(look(given))) {
    const found = parseBlock(await program.step(commands));
    expect(pick(found, namesOf(given))).toEqual(expected);
  }
  expect(await program.end()).toBe(0);
  expect(program.stderr()).toBe("");
  directory.remove();
});
