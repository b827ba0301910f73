import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Murmur } from "../../dev/stack/murmur";
import { isAppError } from "../../lib/errors";
import { eventually } from "../harness/eventually";
import { freshRandom, setSecret, startTestStack, type TestStack } from "../harness/stack";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";
import { formsOf, LeakSearch } from "./leaks";

const FIRST = freshRandom();
const SECOND = freshRandom();
const AS_FILE = `file${freshRandom()}`;
const AT_SPAWN = `spawn${freshRandom()}`;
const IN_ENV_FILE = `line${freshRandom()}`;
const IMPORTED = `imported${freshRandom()}`;
const DEVELOPERS = `developer${freshRandom()}`;
const DEVELOPERS_FILE = `developerfile${freshRandom()}`;
const REFUSED = `refused${freshRandom()}`;

/** A hook that says all that it knows, as it is and as programs show headers. */
const TALKATIVE = `env; printf %s "u:$AT_SPAWN" | base64 -w0; printf %s "$MINE" | od -An -tx1 | tr -d ' \\n'
cat "$MY_CERT_FILE" >&2; exit 3`;

let stack: TestStack;
let tree: WatchedTree;
let own: string;
let search: LeakSearch;
const seenInProcesses = new Set<string>();
let watching: NodeJS.Timeout;

/** Secrets of every kind are set, delivered, replaced, refused and deleted, while parts are killed. */
beforeAll(async () => {
  own = mkdtempSync(join(tmpdir(), "murmur-leaks-"));
  const marks = [FIRST, SECOND, AS_FILE, AT_SPAWN, IN_ENV_FILE, IMPORTED, DEVELOPERS];
  marks.push(DEVELOPERS_FILE, REFUSED);
  search = new LeakSearch(marks.flatMap(formsOf), join(own, "patterns"));
  stack = await startTestStack({
    withKafka: true,
    withVault: true,
    withGateway: true,
    settings: { MURMUR_LOG_LEVEL: "debug" },
  });
  watching = setInterval(() => {
    for (const command of search.inProcesses()) seenInProcesses.add(command);
  }, 25);
  const { murmur } = stack;
  await setTwinsByCommand(FIRST);
  await murmur.run(["secret", "set", "--as-file", "CERT"], `${AS_FILE}\n`);
  await murmur.run(["secret", "import", "-"], `# of the team\nIMPORTED='${IMPORTED}'\n`);
  await setOwn("MINE", { plaintext_value: DEVELOPERS });
  await setOwn("MY_CERT", { plaintext_value: DEVELOPERS_FILE, delivery: "file" });
  tree = await spawnWatchedTree(stack, "fix-auth", FIRST);
  const sleeper = ["--", "sleep", "1000000"];
  const words = ["spawn", "-e", `AT_SPAWN=${AT_SPAWN}`, "--env-file", "-", "with-own", ...sleeper];
  writeFileSync(join(own, "murmur.yaml"), JSON.stringify({ reload: { hook: TALKATIVE } }));
  const inOwn = new Murmur(stack.place.root, stack.place.configFile, own);
  await inOwn.run(words, `IN_ENV_FILE=${IN_ENV_FILE}\n`);
  await stack.applied("with-own", 1n);
  await setTwinsByCommand(SECOND);
  await murmur.run(["rekey", "fix-auth"]);
  await tree.uses(SECOND);
  await refuse();
  // What they find when they start again, they may log.
  await Promise.all(
    ["vm-agent-1", "catalog", "rotation", "postgres"].map((part) => stack.kill(part)),
  );
  await murmur.run(["rekey", "--timeout", "30s", "with-own"]);
  await murmur.run(["secret", "rm", "CERT"]);
  await eventually(
    async () => {
      const { stdout } = await murmur.run(["status", "with-own"]);
      expect(stdout).toMatch(/reload +failed for generation 2: hook: exit 3/);
    },
    { timeoutMs: 60_000 },
  );
  // No value is on its way any more: one look at the end finds who still has one.
  clearInterval(watching);
}, 480_000);

afterAll(async () => {
  clearInterval(watching);
  await stack.stop();
  tree.remove();
  rmSync(own, { recursive: true });
}, 360_000);

async function setTwinsByCommand(random: string): Promise<void> {
  await stack.murmur.run(["secret", "set", "DEMO_TOKEN"], `tok-${random}\n`);
  await stack.murmur.run(["secret", "set", "DEMO_TOKEN_TWIN"], `twin-${random}\n`);
}

async function setOwn(name: string, document: object): Promise<void> {
  const words = ["set", "user-secret", `${stack.identities.developer}/${name}`];
  await stack.murmur.run(words, JSON.stringify(document));
}

/** Writes that are refused, by the service and by the command, each with a value in it. */
async function refuse(): Promise<void> {
  const error: unknown = await setSecret(stack.clients, "MURMUR_X", REFUSED).catch(
    (thrown: unknown) => thrown,
  );
  expect(isAppError(error) && error.code).toBe("INVALID_ARGUMENT");
  expect(search.isIn(inspect(error, { depth: 10 }))).toBe(false);
  for (const [args, input] of [
    [["secret", "set", "not a name"], REFUSED],
    [["secret", "set", "TOO_LARGE"], REFUSED.repeat(4_000)],
    [["set", "secret", "OTHER"], `{"name": "NAME", "plaintext_value": "${REFUSED}"}`],
    [["set", "secret", "NAME"], `{"name": "NAME", "plaintext": "${REFUSED}"}`],
    [["set", "secret", "NAME"], `plaintext_value: [${REFUSED}`],
    [
      ["set", "user-secret", `${stack.identities.developer}/not a name`],
      `plaintext_value: ${REFUSED}`,
    ],
    [["secret", "import", "-"], `GOOD=${REFUSED}\nBAD="${REFUSED}\n`],
    [["secret", "import", "-"], `GOOD=${REFUSED}\n${REFUSED}\n`],
    [["secret", "import", "-"], `GOOD=${REFUSED}\nLD_PRELOAD=${REFUSED}\n`],
    [["spawn", "--env-file", "-", "none", "--", "true"], `PATH=${REFUSED}\n`],
  ] as const) {
    const { code, stdout, stderr } = await stack.murmur.tryRun(args, input);
    expect(code).toBeGreaterThan(0);
    expect(search.isIn(stdout + stderr)).toBe(false);
  }
}

const agentDirectory = async (path: string) =>
  join(stack.vms[0]!.runDir, "agents", (await stack.agent(path)).agentId);

test("the search finds a mark in each form that it looks for", async () => {
  for (const form of formsOf(REFUSED)) {
    const file = join(own, "found");
    writeFileSync(file, `before${form}behind`);
    expect(await search.inDirectory(own)).toEqual([file]);
    expect(await search.inNewFiles(own)).toEqual([file]);
    rmSync(file);
  }
  expect(search.isIn(JSON.stringify({ value: Buffer.from(FIRST) }))).toBe(true);
  expect(search.isIn(inspect(Buffer.from(FIRST)))).toBe(true);
  for (const encoding of ["base64", "base64url", "hex"] as const)
    for (const before of ["", "a", "ab"])
      expect(search.isIn(Buffer.from(`${before}${FIRST}behind`).toString(encoding))).toBe(true);
});

test("the search finds a mark in each process that has it, as often as it looks", async () => {
  const mark = `process${freshRandom()}`;
  const processes = new LeakSearch(formsOf(mark), join(own, "process-patterns"));
  expect(processes.inProcesses()).toEqual([]);
  const base64 = Buffer.from(mark).toString("base64");
  const child = spawn("sleep", ["100000"], { env: { PATH: process.env["PATH"], HAS: base64 } });
  await once(child, "spawn");
  for (let times = 0; times < 2; times++)
    expect(processes.inProcesses()).toEqual(["sleep 100000 "]);
  child.kill();
  await once(child, "exit");
});

test("the runtime directories of the agents hold the values, as they must", async () => {
  const [agent, child, withOwn] = await Promise.all(
    ["fix-auth", "fix-auth/helper", "with-own"].map(agentDirectory),
  );
  const holders = await search.inDirectory(stack.vms[0]!.runDir);
  for (const directory of [agent!, child!, withOwn!])
    expect(holders.filter((file) => file.startsWith(directory)).length).toBeGreaterThanOrEqual(3);
  const set = JSON.parse(readFileSync(join(withOwn!, "env.json"), "utf8")) as Record<
    string,
    string
  >;
  expect(set).toMatchObject({ AT_SPAWN, IN_ENV_FILE, IMPORTED, MINE: DEVELOPERS });
  expect(readFileSync(set["MY_CERT_FILE"]!, "utf8")).toBe(DEVELOPERS_FILE);
});

test("no file outside the agents' runtime directories holds a value: logs, data of PostgreSQL, Kafka and Vault, temporary files", async () => {
  const { place, vms } = stack;
  const found = [
    ...(await search.inDirectory(place.dataDir)),
    ...(await search.inDirectory(place.runDir)),
    ...(await search.inNewFiles(tmpdir())),
    ...(await search.inNewFiles(homedir())),
    ...(await search.inNewFiles(place.root)),
  ];
  const agents = `${vms[0]!.runDir}/agents/`;
  expect(found.filter((file) => !file.startsWith(agents))).toEqual([]);
}, 240_000);

test("what a hook has said is in the daemon's log, without the values", () => {
  const logs = join(stack.place.dataDir, "logs");
  const said = readdirSync(logs)
    .map((name) => readFileSync(join(logs, name), "utf8"))
    .join("");
  const line = said.split("\n").find((each) => each.includes("reload hook failed"));
  expect(line).toContain("AT_SPAWN=[redacted]");
  expect(search.isIn(line ?? "")).toBe(false);
});

test("no row of any table holds a value", async () => {
  const tables = await stack.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname <> 'information_schema'
     union all values ('pg_stat_activity'), ('pg_prepared_statements')`,
  );
  expect(tables.map(({ name }) => name)).toContain("catalog.secret_versions");
  for (const { name } of tables) {
    const rows = await stack.query<{ text: string }>(`select t::text as text from ${name} as t`);
    expect([name, rows.filter(({ text }) => search.isIn(text)).length]).toEqual([name, 0]);
  }
});

test("no other process had a value in its environment or on its command line", () => {
  // Who types a value after -e shows it for as long as the command runs; -e NAME does not.
  const others = [...seenInProcesses].filter((command) => !command.includes(" -e AT_SPAWN="));
  expect(others).toEqual([]);
  const searched = search.inProcesses();
  expect(searched).toEqual([]);
});

test("what was given at spawn is gone with its agent, sealed or not", async () => {
  const directory = await agentDirectory("with-own");
  const { agentId } = await stack.agent("with-own");
  const sealed = () =>
    stack.query("select from catalog.secret_versions where kind = 'spawn' and owner = $1", [
      agentId,
    ]);
  expect(await sealed()).toHaveLength(2);
  await stack.murmur.run(["kill", "with-own"]);
  await eventually(
    async () => {
      expect(existsSync(directory)).toBe(false);
      expect(await sealed()).toHaveLength(0);
    },
    { timeoutMs: 30_000 },
  );
}, 360_000);
