// Makes the objects that agents' programs load (services/vm-agent/live-env/*/prebuilt) from their C
// sources, the same bytes on every machine. They are committed, so that nobody needs a compiler.
// With --check it only says whether the committed ones are what the sources make: by the digests of
// both, which are committed with them, and where the compiler is, by compiling them.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Another version makes other bytes: build again, and commit what comes out. */
const ZIG_VERSION = "0.17.1";
/** glibc 2.17 has what every distribution of the last ten years has; musl loads them, too. */
const TARGETS = { x64: "x86_64-linux-gnu.2.17", arm64: "aarch64-linux-gnu.2.17" };
const OBJECTS = ["exec", "bash"];

const COMPILE = [
  ...["-std=c11", "-Os", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"],
  // Nothing may be called that the program does not bring.
  ...["-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-sanitize=all"],
  ...["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"],
  // Each name that the program brings is looked up once.
  "-fno-plt",
];
const LINK = [
  ...["-shared", "-s", "--build-id=none", "--hash-style=gnu"],
  // bash closes an object whose builtin fails to load; its functions may be in use then.
  ...["-z", "nodelete", "-z", "norelro"],
  // Fewer mappings to make at each start of a program.
  "--no-rosegment",
];

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = join(root, "services/vm-agent/live-env");
const sums = join(sources, "prebuilt.sha256");
const zigPart = join(root, ".test-parts", `ziglang-${ZIG_VERSION}`);
const isCheck = process.argv.includes("--check");

process.exitCode = (isCheck ? check() : make()) ? 0 : 1;

function make() {
  const zig = getZig();
  inScratch((scratch) => {
    for (const object of objects()) build(zig, object, scratch);
  });
  writeFileSync(sums, digests());
  return true;
}

function check() {
  const written = existsSync(sums) ? readFileSync(sums, "utf8") : "";
  const changed = digests()
    .split("\n")
    .filter((line) => !written.split("\n").includes(line))
    .map((line) => line.slice(66));
  for (const file of changed)
    say(`${file} has changed since the objects were made: run node dev/build-native.mjs`);
  if (changed.length > 0) return false;
  const zig = join(zigPart, "ziglang/zig");
  if (!existsSync(zig)) {
    say("native objects: digests compared, not compiled, as their compiler is not on this machine");
    return true;
  }
  return inScratch((scratch) => objects().every((object) => build(zig, object, scratch)));
}

function objects() {
  return OBJECTS.flatMap((layer) => Object.keys(TARGETS).map((arch) => ({ layer, arch })));
}

/** One line for each thing that the objects depend on, and for each object. */
function digests() {
  const made = objects().map(({ layer, arch }) => objectPath(layer, arch));
  const written = OBJECTS.flatMap((layer) =>
    readdirSync(join(sources, layer))
      .filter((name) => name.endsWith(".h") || name === `murmur-${layer}.c`)
      .map((name) => `${layer}/${name}`),
  );
  const recipe = JSON.stringify([ZIG_VERSION, TARGETS, COMPILE, LINK]);
  const lines = [...written.sort(), ...made].map((path) => {
    const file = join(sources, path);
    return [existsSync(file) ? readFileSync(file) : "", path];
  });
  return [...lines, [recipe, "the compiler and its options"]]
    .map(([content, what]) => `${createHash("sha256").update(content).digest("hex")}  ${what}\n`)
    .join("");
}

function objectPath(layer, arch) {
  return `${layer}/prebuilt/${arch}/murmur-${layer}.so`;
}

function inScratch(work) {
  const scratch = mkdtempSync(join(tmpdir(), "murmur-native-"));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

/** Whether the committed object is what the source makes; puts it there unless only asked. */
function build(zig, { layer, arch }, scratch) {
  const name = `murmur-${layer}.so`;
  const [object, made] = [join(scratch, `${layer}-${arch}.o`), join(scratch, `${layer}-${arch}`)];
  const compile = ["cc", "-target", TARGETS[arch], ...COMPILE];
  const caches = { ZIG_LOCAL_CACHE_DIR: scratch, ZIG_GLOBAL_CACHE_DIR: scratch };
  run(zig, [...compile, "-c", "-o", object, `${layer}/murmur-${layer}.c`], caches);
  run(zig, ["ld.lld", ...LINK, "-soname", name, "-o", made, object], caches);
  const committed = join(sources, objectPath(layer, arch));
  const isSame = existsSync(committed) && readFileSync(committed).equals(readFileSync(made));
  if (isSame) return true;
  if (isCheck) {
    say(`${objectPath(layer, arch)} is not what its source makes`);
    return false;
  }
  mkdirSync(dirname(committed), { recursive: true });
  run("install", ["-m", "755", made, committed]);
  return true;
}

/** The compiler, taken once from the Python package that carries it. */
function getZig() {
  const binary = join(zigPart, "ziglang/zig");
  if (existsSync(binary)) return binary;
  process.stderr.write(`getting Zig ${ZIG_VERSION} with pip, once\n`);
  const unfinished = `${zigPart}.${process.pid}`;
  const flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", unfinished];
  mkdirSync(unfinished, { recursive: true });
  try {
    run("python3", ["-m", "pip", "install", ...flags, `ziglang==${ZIG_VERSION}`]);
    if (!existsSync(zigPart)) renameSync(unfinished, zigPart);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return binary;
}

function run(command, args, more = {}) {
  const env = { ...process.env, ...more };
  const { status, error } = spawnSync(command, args, { cwd: sources, env, stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? String(status)}`);
}
