import { sensitive } from "../../../lib/sensitive";
import { agentOwner, createTestRunDir, type TestRunDir } from "../../../test/harness/env-files";
import { type EnvFiles } from "./env-files";
import { type Delivery } from "./env-set";
import { render } from "./render";

const AGENT = "agent-1";
const BYTES = Buffer.from([0, 255, 10, 39]);

let runDir: TestRunDir;
let files: EnvFiles;

beforeEach(() => {
  runDir = createTestRunDir();
  files = runDir.start();
});

afterEach(() => {
  runDir.remove();
});

function put(generation: bigint, values: Record<string, [Buffer, Delivery]>): void {
  const variables = Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, [value, delivery]]) => ({ name, value: sensitive(value), delivery }));
  const set = { agentId: AGENT, generation, variables, unset: [], fingerprint: "f" };
  files.swap(render(set, { directory: files.directoryOf(AGENT) }), agentOwner);
}

function seen(...names: string[]): unknown {
  const current = files.readValues(AGENT, names);
  const values = [...(current?.values ?? [])].map(([name, value]) => [name, value.expose()]);
  return { generation: current?.generation, values: Object.fromEntries(values) as object };
}

test("values come byte for byte, those of files under their own names, from the set in force", () => {
  const nasty = Buffer.from("a'\n\"$\\ é");
  put(1n, { TOKEN: [Buffer.from("old"), "environment"], CERT: [Buffer.from("old"), "file"] });
  put(2n, { TOKEN: [nasty, "environment"], CERT: [BYTES, "file"] });
  expect(seen("TOKEN", "CERT", "NONE")).toEqual({
    generation: 2n,
    values: { TOKEN: nasty, CERT: BYTES },
  });
});

test("a name that the set lacks, or that is no name, has no value", () => {
  expect(files.readValues(AGENT, ["TOKEN"])).toBeUndefined();
  put(1n, { TOKEN: [Buffer.from("x"), "environment"] });
  expect(seen("GONE", "../live", "files", "_unset", "__proto__", "")).toEqual({
    generation: 1n,
    values: {},
  });
});
