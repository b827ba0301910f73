import { execFile, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { liveNames } from "../../services/vm-agent/live-env/launch";
import { LAYERS, type LayerName } from "../../services/vm-agent/live-env/receipts";
import { createAgentNames, type AgentNames } from "../../services/vm-agent/processes/agent-names";
import { eventually } from "../../test/harness/eventually";

const NOBODY = 65_534;
/** Only root can become another user: without it there is nothing that these could be about. */
const IS_ROOT = process.getuid?.() === 0;

let root: string;
let program: string;
let names: AgentNames;
let envDir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "murmur exec-"));
  chmodSync(root, 0o755);
  program = join(root, "murmur");
  copyFileSync(join(__dirname, "../../bin/murmur"), program);
  names = createAgentNames(root, () => true);
  envDir = makeAgent();
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function makeAgent(): string {
  const made = join(root, "agents", randomUUID());
  mkdirSync(made, { recursive: true });
  swapIn(made, "export TOKEN='first'\n");
  return made;
}

function swapIn(directory: string, text: string, owner = process.getuid?.() ?? 0): void {
  const generation = join(directory, `..g-${randomUUID()}`);
  mkdirSync(generation);
  const file = join(generation, "env.sh");
  writeFileSync(file, `export MURMUR_DIR='${directory}'\n${text}`, { mode: 0o400 });
  if (owner !== process.getuid?.()) chownSync(file, owner, owner);
  symlinkSync(generation, join(directory, "fresh"));
  renameSync(join(directory, "fresh"), join(directory, "..data"));
}

type Env = Record<string, string>;

const PATH = process.env["PATH"] ?? "";
const inAgent = (env: Env = {}): Env => ({ PATH, MURMUR_DIR: envDir, ...env });
const outside = (env: Env = {}): Env => ({ PATH, MURMUR_RUN_DIR: root, ...env });

function murmur(words: readonly string[], env: Env, input = "") {
  const run = spawnSync(program, words, { env, input, encoding: "utf8", timeout: 20_000 });
  return { code: run.status, signal: run.signal, stdout: run.stdout, stderr: run.stderr };
}

/** The environment that the command is given. */
function environmentBy(words: readonly string[], env: Env): Env {
  const { stdout } = murmur(["exec", ...words, "--", "env", "-0"], env);
  const entries = stdout.split("\0").filter(Boolean);
  return Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s, 2) as [string, string]));
}

describe("murmur exec inside an agent", () => {
  it("gives the command the set of now, whatever the caller was started with", () => {
    const stale = inAgent({ TOKEN: "stale", GONE: "x" });
    expect(environmentBy([], stale)).toMatchObject({ TOKEN: "first", GONE: "x" });
    swapIn(envDir, "unset GONE\nexport TOKEN='it'\\''s\nsecond'\n");
    const fresh = environmentBy([], stale);
    expect(fresh).toMatchObject({ TOKEN: "it's\nsecond" });
    expect(fresh).not.toHaveProperty("GONE");
  });

  it("becomes the command: same process, standard input and output, status, death by signal", () => {
    const script = 'sh -c \'echo $$; exec "$0" exec -- sh -c "echo \\$\\$; cat; exit 7"\' "$1"';
    const run = spawnSync("sh", ["-c", script, "sh", program], {
      ...{ env: inAgent(), input: "typed", encoding: "utf8" as const },
    });
    const [before, after, rest] = run.stdout.split("\n");
    expect(after).toBe(before);
    expect({ rest, status: run.status, stderr: run.stderr }).toEqual({
      ...{ rest: "typed", status: 7, stderr: "" },
    });
    expect(murmur(["exec", "sh", "-c", "kill -TERM $$"], inAgent()).signal).toBe("SIGTERM");
  });

  it("takes signals as the command does, and ignores none that the caller did not", async () => {
    const child = spawn(program, ["exec", "--", "sleep", "1000"], { env: inAgent() });
    await eventually(() => {
      expect(readFileSync(`/proc/${child.pid}/comm`, "utf8")).toBe("sleep\n");
    });
    expect(readFileSync(`/proc/${child.pid}/status`, "utf8")).toMatch(/^SigIgn:\s+0+$/m);
    const ended = new Promise((resolve) => child.on("exit", (_code, signal) => resolve(signal)));
    child.kill("SIGINT");
    expect(await ended).toBe("SIGINT");
  });

  it("keeps the terminal", async () => {
    const command = `'${program}' exec -- sh -c 'test -t 0 && test -t 1 && tty'`;
    const stdout = await new Promise<string>((resolve) => {
      execFile("script", ["-qefc", command, "/dev/null"], { env: inAgent() }, (_error, text) => {
        resolve(text);
      });
    });
    expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
  });

  it("puts no value on a command line", () => {
    const show = "cat /proc/$$/cmdline";
    expect(murmur(["exec", "--", "sh", "-c", show], inAgent()).stdout).not.toContain("first");
  });

  it("prints no value, also for a bash as sh that was told to print what it does", () => {
    swapIn(envDir, "export TOKEN='s3cret'\n");
    const env = inAgent({ SHELLOPTS: "xtrace:verbose:nounset:errexit" });
    const run = spawnSync("bash", ["--posix", program, "exec", "--", "sh", "-c", 'echo "$TOKEN"'], {
      ...{ env, encoding: "utf8" as const },
    });
    expect(run.stdout).toBe("s3cret\n");
    expect(run.stderr).not.toContain("s3cret");
  });

  it.each<[string, Env]>([
    ["nothing of the caller's", {}],
    [
      "the caller's own",
      {
        ...{ LD_PRELOAD: "/lib/a.so", BASH_ENV: "/b", PROMPT_COMMAND: "history -a" },
        ...{ NODE_OPTIONS: "--no-warnings", PYTHONPATH: "/p" },
      },
    ],
  ])("leads programs to the layers as the daemon does, chaining %s", (_what, own) => {
    const directory = join(root, "live env");
    // The object is not there: the loader says so, and goes on.
    const expected = liveNames(own, { directory, works: LAYERS });
    const live = { MURMUR_LIVE_DIR: directory, MURMUR_LIVE: LAYERS.join() };
    const once = environmentBy([], inAgent({ ...own, ...live }));
    expect(once).toMatchObject(expected);
    expect(environmentBy([], once)).toEqual(once);
    const some = environmentBy([], inAgent({ MURMUR_LIVE_DIR: directory, MURMUR_LIVE: "python" }));
    expect(some).toMatchObject({ PYTHONPATH: `${directory}/python.zip` });
    expect(some).not.toHaveProperty("LD_PRELOAD");
  });

  it("exits with what shells say of a command that is not there, and 125 when it is the matter", () => {
    expect(murmur(["exec", "--", "/no/such"], inAgent())).toMatchObject({ code: 127, stdout: "" });
    expect(murmur(["exec", "--", "/etc/passwd"], inAgent()).code).toBe(126);
    expect(murmur(["exec", "--", "true"], { PATH })).toMatchObject({
      code: 125,
      stderr: "murmur: exec: not inside an agent: name one, on its VM, with --agent\n",
    });
    rmSync(envDir, { recursive: true });
    const run = murmur(["exec", "--", "true"], inAgent());
    expect(run).toMatchObject({ code: 125, stderr: "murmur: exec: the agent is over\n" });
  });
});

describe("murmur exec --agent", () => {
  const put = (workspace: string, path: string, works: readonly LayerName[] = []) => {
    names.put({ workspace, path, envDir, layers: { directory: "/live", works } });
  };

  it("finds an agent of this machine by its path", () => {
    put("backend", "fix-auth/tests", ["python"]);
    expect(environmentBy(["--agent", "fix-auth/tests"], outside())).toMatchObject({
      ...{
        TOKEN: "first",
        MURMUR_DIR: envDir,
        MURMUR_LIVE: "python",
        PYTHONPATH: "/live/python.zip",
      },
    });
    expect(
      environmentBy(["--agent=fix-auth/tests", "--workspace=backend"], outside()),
    ).toHaveProperty("TOKEN");
  });

  it("asks for the workspace when there are several, and refuses what is not there", () => {
    put("backend", "web");
    envDir = makeAgent();
    swapIn(envDir, "export TOKEN='other'\n");
    put("frontend", "web");
    const refused = (...words: string[]) => murmur(["exec", ...words, "--", "env"], outside());
    expect(refused("--agent", "web")).toEqual({
      ...{ code: 125, signal: null, stdout: "" },
      stderr: 'murmur: exec: agent "web" is in several workspaces: name one with --workspace\n',
    });
    const named = environmentBy(["--agent", "web", "--workspace", "frontend"], outside());
    expect(named["TOKEN"]).toBe("other");
    for (const agent of ["no", "we", "../names/backend/web", "*", "web/.."]) {
      expect(refused("--agent", agent)).toMatchObject({
        ...{ code: 125, stdout: "" },
        stderr: `murmur: exec: no agent "${agent}" lives on this machine\n`,
      });
    }
    names.remove(envDir);
    expect(refused("--agent", "web", "--workspace", "frontend").code).toBe(125);
  });

  if (IS_ROOT)
    it("lets root become the agent's user, and never reads that user's file as root", () => {
      put("backend", "web");
      const mark = join(root, "mark");
      swapIn(envDir, `export TOKEN='theirs'\nid -u >'${mark}'\n`, NOBODY);
      chmodSync(root, 0o777);
      const script = 'id -u; id -G; echo "$TOKEN $HOME $USER"';
      const { stdout } = murmur(["exec", "--agent", "web", "--", "sh", "-c", script], outside());
      expect(stdout).toMatch(/^65534\n65534\ntheirs \S+ nobody\n$/);
      expect(readFileSync(mark, "utf8")).toBe("65534\n");
    });

  if (IS_ROOT)
    it("gives the agent's user nothing of root's environment but what is harmless", () => {
      put("backend", "web", ["python"]);
      swapIn(envDir, "export TOKEN='theirs'\n", NOBODY);
      const harmless = { TERM: "vt100", LANG: "C.UTF-8", LC_TIME: "C", TZ: "Etc/UTC" };
      const found = environmentBy(
        ["--agent", "web"],
        outside({
          ...harmless,
          ...{
            ROOTONLY_TOKEN: "roots",
            PYTHONPATH: "/roots",
            HOME: "/root",
            LS_COLORS: "a=b\nc=d",
          },
        }),
      );
      const { HOME, SHELL, USER, LOGNAME, PWD, OLDPWD, SHLVL, _, ...rest } = found;
      expect({ HOME, SHELL }).toEqual({
        HOME: expect.stringMatching(/^\/(?!root)/) as string,
        SHELL: expect.stringMatching(/^\//) as string,
      });
      expect({ USER, LOGNAME }).toEqual({ USER: "nobody", LOGNAME: "nobody" });
      expect(rest).toEqual({
        ...{ PATH, MURMUR_RUN_DIR: root, ...harmless, TOKEN: "theirs", MURMUR_DIR: envDir },
        ...{ MURMUR_LIVE_DIR: "/live", MURMUR_LIVE: "python", PYTHONPATH: "/live/python.zip" },
      });
      expect([PWD, OLDPWD, SHLVL, _].join()).not.toContain("roots");
    });

  if (IS_ROOT)
    it("runs for the agent's user, and for no other user", () => {
      put("backend", "web");
      swapIn(envDir, "export TOKEN='theirs'\n", NOBODY);
      chownSync(envDir, 0, NOBODY);
      chmodSync(envDir, 0o750);
      const as = (uid: number) =>
        spawnSync(
          "setpriv",
          [
            ...["--reuid", String(uid), "--regid", String(uid), "--clear-groups", "--", program],
            ...["exec", "--agent", "web", "--", "sh", "-c", 'echo "$TOKEN"'],
          ],
          { env: outside(), encoding: "utf8" },
        );
      expect(as(NOBODY).stdout).toBe("theirs\n");
      expect(as(12_345)).toMatchObject({
        ...{ status: 125, stdout: "" },
        stderr: "murmur: exec: only root and the agent's user may run programs in it\n",
      });
    });
});

describe("the names of agents", () => {
  it("outlive a daemon for agents that are known, and leave nothing behind", () => {
    names.put({ workspace: "backend", path: "web", envDir });
    names.put({ workspace: "backend", path: "web/child", envDir: "/x/gone" });
    const later = createAgentNames(root, (agentId) => agentId !== "gone");
    const find = (path: string) =>
      murmur(["exec", "--agent", path, "--", "true"], outside()).code ?? -1;
    expect([find("web"), find("web/child")]).toEqual([0, 125]);
    later.remove(envDir);
    expect(spawnSync("find", [join(root, "names")], { encoding: "utf8" }).stdout).toBe(
      `${join(root, "names")}\n`,
    );
  });

  it("can be read by everyone who knows one, whatever the daemon's umask, now or earlier", () => {
    const modes = () => {
      const found = ["", "/backend", "/backend/web", "/backend/web/child", "/backend/web/.agent"];
      return found.map((each) => (statSync(`${root}/names${each}`).mode & 0o7777).toString(8));
    };
    const expected = ["755", "711", "711", "711", "644"];
    const before = process.umask(0o077);
    try {
      rmSync(join(root, "names"), { recursive: true });
      const daemon = createAgentNames(root, () => true);
      daemon.put({ workspace: "backend", path: "web", envDir });
      daemon.put({ workspace: "backend", path: "web/child", envDir: "/x/child" });
      expect(modes()).toEqual(expected);
    } finally {
      process.umask(before);
    }
    for (const each of ["", "/backend", "/backend/web/child"])
      chmodSync(`${root}/names${each}`, 0o700);
    chmodSync(`${root}/names/backend/web/.agent`, 0o600);
    createAgentNames(root, () => true);
    expect(modes()).toEqual(expected);
  });

  it("stay with the later of two agents", () => {
    names.put({ workspace: "backend", path: "web", envDir: "/x/first" });
    names.put({ workspace: "backend", path: "web", envDir });
    names.remove("/x/first");
    expect(murmur(["exec", "--agent", "web", "--", "true"], outside()).code).toBe(0);
  });

  it("that are no labels lead nowhere", () => {
    for (const path of ["", "..", "a/../..", "a/.agent", "A"])
      names.put({ workspace: "backend", path, envDir });
    names.put({ workspace: "..", path: "a", envDir });
    expect(spawnSync("find", [root, "-name", ".agent"], { encoding: "utf8" }).stdout).toBe("");
  });
});
