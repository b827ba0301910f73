import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLog } from "../../../lib/log";
import { installLayers } from "./install";
import { prepareLayers, quickenLayers } from "./layers";
import { supportedPythons } from "./python/python-program";

const USER = { uid: process.getuid?.() === 0 ? 65534 : (process.getuid?.() ?? 0), gid: 65534 };
const SHARED = { searchPath: process.env["PATH"], log: silentLog };
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "murmur-layers-"));
  chmodSync(home, 0o755);
  mkdirSync(join(home, "run"));
  chmodSync(join(home, "run"), 0o755);
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

describe("the layers", () => {
  it("all work for another user than the daemon, and are installed once for all", async () => {
    const deps = { from: __dirname, runDir: join(home, "run"), user: USER, ...SHARED };
    const layers = await prepareLayers(deps);
    expect(layers.works).toEqual(["exec", "bash", "node", "python"]);
    expect(await prepareLayers(deps)).toEqual(layers);
    expect(readdirSync(join(home, "run/live-env"))).toHaveLength(1);
  });

  it("belong to the daemon, and nobody else can write them", () => {
    const into = installLayers(__dirname, join(home, "run"));
    for (const path of ["", ...readdirSync(into, { recursive: true, encoding: "utf8" })]) {
      const { mode, uid } = statSync(join(into, path));
      expect({ path, others: mode & 0o022, uid }).toEqual({
        path,
        others: 0,
        uid: process.getuid?.(),
      });
    }
  });

  it("get byte code for a Python of the machine, later, and do without when they are gone", async () => {
    const deps = { from: __dirname, runDir: join(home, "run"), user: USER, ...SHARED };
    const layers = await prepareLayers(deps);
    const python = join(layers.directory, "python");
    const before = readdirSync(python);
    const { signal } = new AbortController();
    // All of them take minutes on a busy machine, since they stand back.
    const searchPath = dirname(supportedPythons(true).at(-1)!.path);
    const quicken = () => quickenLayers(Promise.resolve(layers), { ...SHARED, searchPath }, signal);
    await quicken();
    expect(readdirSync(python).sort()).toEqual(["__pycache__", ...before].sort());
    rmSync(layers.directory, { recursive: true });
    await quicken();
    expect(readdirSync(join(home, "run/live-env"))).toEqual([]);
  }, 120_000);

  it("that say anything, or do not work, are done without", async () => {
    const from = join(home, "from");
    for (const layer of ["node", "python", "bash"])
      mkdirSync(join(from, layer), { recursive: true });
    writeFileSync(join(from, "node/preload.cjs"), "console.error('hello');");
    writeFileSync(join(from, "python/sitecustomize.py"), "");
    const deps = { from, runDir: join(home, "run"), user: USER, ...SHARED };
    expect((await prepareLayers(deps)).works).toEqual([]);
  });

  it("that cannot be installed stop nothing", async () => {
    const deps = {
      from: join(home, "none"),
      runDir: join(home, "run"),
      user: USER,
      ...SHARED,
    };
    expect(await prepareLayers(deps)).toEqual({ directory: "", works: [] });
  });
});
