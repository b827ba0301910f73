import { runNode, startNodeProgram } from "../../../../test/harness/node-program";
import { OWNERSHIP_CASES, type CaseSet, type OwnershipCase } from "../ownership-cases";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment, NOT_SHOWN } from "./live-environment";
import { eventually } from "../../../../test/harness/eventually";

let directory: TestDirectory | undefined;
afterEach(() => directory?.remove());

const SHOW = `Object.fromEntries(Object.entries(process.env).filter(([name]) => !${String(NOT_SHOWN)}.test(name)))`;

const environmentOf = (path: string, { block, blockGeneration }: OwnershipCase) =>
  liveEnvironment(path, block, blockGeneration);

describe("a program that starts", () => {
  it.each(OWNERSHIP_CASES)("$name", async (ownership) => {
    directory = createTestDirectory(ownership.delivered);
    const env = environmentOf(directory.path, ownership);
    const { stdout, stderr, code } = await runNode(["-p", `JSON.stringify(${SHOW})`], env);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(JSON.parse(stdout)).toEqual(ownership.expected);
  });
});

describe("a program that runs while the generation changes", () => {
  // The block of the case is what the program has when it started on its generation.
  const running = OWNERSHIP_CASES.filter(
    ({ delivered, blockGeneration }) =>
      blockGeneration !== undefined && blockGeneration < delivered.at(-1)!.generation,
  );

  it.each(running)("$name", async (ownership) => {
    const isBefore = ({ generation }: CaseSet) => generation <= ownership.blockGeneration!;
    directory = createTestDirectory(ownership.delivered.filter(isBefore));
    const program = startNodeProgram(environmentOf(directory.path, ownership));
    expect(await program.ask(SHOW)).toEqual(ownership.block);
    for (const set of ownership.delivered) if (!isBefore(set)) directory.swap(set);
    await eventually(async () => expect(await program.ask(SHOW)).toEqual(ownership.expected));
    const last = String(ownership.delivered.at(-1)!.generation);
    expect(await program.ask("process.env.MURMUR_GENERATION")).toBe(last);
    // What its children are given by default, too.
    const child = `JSON.parse(require("child_process").execFileSync(process.execPath, ["-p", ${JSON.stringify(`JSON.stringify(${SHOW})`)}]))`;
    expect(await program.ask(child)).toEqual(ownership.expected);
    expect(await program.end()).toMatchObject({ code: 0, stderr: "" });
  });
});
