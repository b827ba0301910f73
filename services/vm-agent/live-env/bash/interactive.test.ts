import { spawn, type ChildProcess } from "node:child_process";
import { eventually } from "../../../../test/harness/eventually";
import { installForTest } from "../exec/exec-program";
import { liveNames } from "../launch";
import { createTestDirectory, type TestDirectory } from "../test-directory";

const layers = installForTest();
let directory: TestDirectory;
let terminal: ChildProcess | undefined;
let said: string;

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old-value" } }]);
  said = "";
});
afterEach(() => {
  terminal?.kill("SIGKILL");
  directory.remove();
});
afterAll(() => layers.remove());

/** An interactive bash on a terminal, with what an agent starts with. */
function open(own: Record<string, string> = {}): void {
  const env = {
    ...{ PATH: "/usr/local/bin:/usr/bin:/bin", TERM: "dumb", PS1: "> ", HISTFILE: "/dev/null" },
    ...own,
    ...liveNames(own, { directory: layers.path, works: ["bash"] }),
    ...{ MURMUR_DIR: directory.path, MURMUR_GENERATION: "1", TOKEN: "old-value" },
  };
  const shell = "stty -echo; exec bash --norc --noprofile --noediting -i";
  const child = spawn("script", ["-qefc", shell, "/dev/null"], { env, stdio: "pipe" });
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  terminal = child;
}

/** Types a line, and waits for what it says. */
async function type(line: string, expected: string): Promise<void> {
  said = "";
  terminal?.stdin?.write(`${line}\n`);
  await eventually(() => expect(said).toContain(expected), { timeoutMs: 20_000 });
}

it("an interactive bash sees new values, as do its children, and its prompt keeps the status", async () => {
  open();
  await eventually(() => expect(said).toContain("> "), { timeoutMs: 20_000 });
  await type('echo "[$TOKEN]"', "[old-value]");
  directory.swap({ generation: 2, set: { TOKEN: "new-value", ADDED: "added" } });
  await type('echo "[$TOKEN]"', "[new-value]");
  await type("printenv TOKEN ADDED | tr '\\n' ,", "new-value,added,");
  await type("(echo exits; exit 7)", "exits");
  await type('echo "[$?]"', "[7]");
  // One long command line, without a prompt between.
  const line = "echo looking; while [ $TOKEN = new-value ]; do read -t 0.01; done; echo [$TOKEN]";
  await type(line, "looking");
  directory.swap({ generation: 3, set: { TOKEN: "newer-value", ADDED: "added" } });
  await eventually(() => expect(said).toContain("[newer-value]"), { timeoutMs: 20_000 });
});

it("a prompt command of the agent's own stays in force, and sees the status", async () => {
  open({ PROMPT_COMMAND: "echo own:$?" });
  await eventually(() => expect(said).toContain("own:0"), { timeoutMs: 20_000 });
  directory.swap({ generation: 2, set: { TOKEN: "new-value" } });
  await type('echo "[$TOKEN]"; (exit 5)', "own:5");
  expect(said).toContain("[new-value]");
});
