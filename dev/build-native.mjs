// Makes the objects that agents' programs load (services/vm-agent/live-env/*/prebuilt) from their C
// sources, the same bytes on every machine. They are committed, so that nobody needs a compiler.
// With --check it only says whether the committed ones are what the sources make.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
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
];
const LINK = [
  ...["-shared", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,--hash-style=gnu"],
  // bash closes a builtin that is taken off its list; its functions are still in use then.
  ...["-Wl,-z,nodelete", "-Wl,-z,norelro"],
];

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = join(root, "services/vm-agent/live-env");
const isCheck = process.argv.includes("--check");

const scratch = mkdtempSync(join(tmpdir(), "murmur-native-"));
try {
  const zig = getZig();
  const stale = OBJECTS.flatMap((layer) =>
    Object.keys(TARGETS).filter((arch) => !build(zig, layer, arch)),
  );
  process.exitCode = isCheck && stale.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Whether the committed object is what the source makes. */
function build(zig, layer, arch) {
  const name = `murmur-${layer}.so`;
  const [object, made] = [join(scratch, `${layer}-${arch}.o`), join(scratch, `${layer}-${arch}`)];
  const target = ["cc", "-target", TARGETS[arch]];
  run(zig, [...target, ...COMPILE, "-c", "-o", object, `${layer}/murmur-${layer}.c`]);
  run(zig, [...target, ...LINK, `-Wl,-soname,${name}`, "-o", made, object]);
  const committed = join(sources, layer, "prebuilt", arch, name);
  const isSame = existsSync(committed) && readFileSync(committed).equals(readFileSync(made));
  if (isSame) return true;
  if (isCheck) {
    process.stdout.write(`${layer}/prebuilt/${arch}/${name} is not what its source makes\n`);
    return false;
  }
  mkdirSync(dirname(committed), { recursive: true });
  run("install", ["-m", "755", made, committed]);
  return true;
}

/** The compiler, taken once from the Python package that carries it. */
function getZig() {
  const part = join(root, ".test-parts", `ziglang-${ZIG_VERSION}`);
  const binary = join(part, "ziglang/zig");
  if (existsSync(binary)) return binary;
  process.stderr.write(`getting Zig ${ZIG_VERSION} with pip, once\n`);
  const unfinished = `${part}.${process.pid}`;
  const flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", unfinished];
  mkdirSync(unfinished, { recursive: true });
  try {
    run("python3", ["-m", "pip", "install", ...flags, `ziglang==${ZIG_VERSION}`]);
    if (!existsSync(part)) renameSync(unfinished, part);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return binary;
}

function run(command, args) {
  const env = { ...process.env, ZIG_LOCAL_CACHE_DIR: scratch, ZIG_GLOBAL_CACHE_DIR: scratch };
  const { status, error } = spawnSync(command, args, { cwd: sources, env, stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? String(status)}`);
}
