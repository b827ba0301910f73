import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { downloadGrpcurl } from "../../dev/parts/grpcurl";
import { findTool } from "../../dev/parts/tools";
import { CONFIG_VARIABLES } from "../../lib/config-variables";
import { issueDeveloperToken } from "../../lib/identity/claims";
import { startTestStack, type TestStack } from "../harness/stack";
import { signingKeyOf } from "./fuzzed-stack";

const ROOT = join(__dirname, "..", "..");

interface Block {
  code: string;
  fails: boolean;
  output: string | undefined;
}

/** The bash blocks of a page; a block that `fails` may be followed by what it prints. */
function bashBlocks(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = text.matchAll(/```bash( fails)?\n([\s\S]*?)```(?:\n+```\n([\s\S]*?)```)?/g);
  return [...blocks].map(([, fails, code = "", output]) => ({
    code,
    fails: fails !== undefined,
    output,
  }));
}

function runBash(
  script: string,
  env: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, ...env }, timeout: 120_000 };
    // A bash with a socket for its input may take itself for a remote shell, and read start-up files.
    const args = ["--norc", "-euo", "pipefail", "-c", script];
    execFile("bash", args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

describe("docs/grpc.md", () => {
  let stack: TestStack;
  let env: Record<string, string>;

  beforeAll(async () => {
    const directory = await downloadGrpcurl();
    stack = await startTestStack({ withGateway: true });
    env = {
      MURMUR_CONFIG: stack.place.configFile,
      PATH: `${directory}:${process.env["PATH"] ?? ""}`,
    };
  }, 600_000);
  afterAll(() => stack.stop(), 180_000);

  it("holds commands that work as they stand, with a real grpcurl", async () => {
    const blocks = bashBlocks("docs/grpc.md");
    expect(blocks.length).toBeGreaterThan(6);
    const script = blocks.filter(({ fails }) => !fails).map(({ code }) => code);
    const { code, stdout, stderr } = await runBash(script.join("\n"), env);
    expect({ code, errors: stderr.match(/^ERROR:[^]*/m)?.[0] }).toEqual({ code: 0 });
    for (const service of ["catalog.v1.SecretService", "rotation.v1.AgentService"])
      expect(stdout).toContain(service);
  }, 360_000);

  it("shows the errors that the services answer", async () => {
    const [setup, ...blocks] = bashBlocks("docs/grpc.md");
    const failing = blocks.filter(({ fails }) => fails);
    expect(failing.length).toBeGreaterThan(0);
    for (const { code: script, output } of failing) {
      const { code, stderr } = await runBash(`${setup?.code ?? ""}\n${script}`, env);
      expect(code).not.toBe(0);
      expect(stderr).toBe(output);
    }
  }, 360_000);

  it("goes with docs/secrets.md, whose commands work as they stand, too", async () => {
    const directory = mkdtempSync(join(tmpdir(), "murmur-documents-"));
    const script = bashBlocks("docs/secrets.md").map(({ code }) => code);
    expect(script).toHaveLength(2);
    const { code, stdout, stderr } = await runBash(script.join("\n"), { ...env, DIR: directory });
    rmSync(directory, { recursive: true });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const done of ["Would add", "Added", "Revoked", "Destroyed"])
      expect(stdout).toMatch(new RegExp(`^${done} `, "m"));
    expect(stdout).not.toMatch(/npm-1|k-[12]/);
  }, 360_000);

  it("goes with docs/rebinding.md, whose commands and words are as they stand, too", async () => {
    const blocks = bashBlocks("docs/rebinding.md");
    const commands = blocks.filter(({ fails }) => !fails).map(({ code }) => code);
    const setup = bashBlocks("docs/grpc.md")[0]?.code ?? "";
    const [refused] = blocks.filter(({ fails }) => fails);
    const at = blocks.findIndex(({ fails }) => fails);
    const before = [setup, ...commands.slice(0, at)].join("\n");
    const tried = `! { ${refused?.code ?? ""} } 2> "$DIR/said"`;
    const said = `diff <(cat <<END\n${refused?.output ?? ""}END\n) "$DIR/said"`;
    const directory = mkdtempSync(join(tmpdir(), "murmur-documents-"));
    const script = [before, tried, said, ...commands.slice(at)].join("\n");
    const { code, stdout } = await runBash(script, { ...env, DIR: directory });
    rmSync(directory, { recursive: true });
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const [first] = blocks.flatMap(({ code: it, output }) =>
      /agents claim/.test(it) ? [output] : [],
    );
    for (const line of first?.trimEnd().split("\n") ?? []) expect(stdout).toContain(line);
    expect(first).toContain("Rebound agent my-coder");
  }, 360_000);

  it("goes with docs/identity.md, whose commands work as they stand, too", async () => {
    const [people, ...more] = bashBlocks("docs/identity.md");
    expect(more).toEqual([]);
    const { code, stdout, stderr } = await runBash(people?.code ?? "", env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^github\/bob +admin /m);
    expect(stdout.split("\n").slice(-3)).toEqual([
      ...["github/bob is member", "Removed github/bob", ""],
    ]);
  }, 360_000);

  it("goes with docs/rest.md, whose commands work as they stand, with a real curl", async () => {
    await findTool("curl");
    const blocks = bashBlocks("docs/rest.md");
    const script = blocks.filter(({ fails }) => !fails).map(({ code }) => code);
    expect(script.length).toBeGreaterThan(4);
    const { code, stdout, stderr } = await runBash(script.join("\n"), env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("event: done");
    expect(stdout).not.toMatch(/npm-1|ghp-1/);
    const [setup] = blocks;
    for (const { code: failing, output } of blocks.filter(({ fails }) => fails)) {
      const refused = await runBash(`${setup?.code ?? ""}\n${failing}`, env);
      expect({ code: refused.code, stdout: `${refused.stdout.trim()}\n` }).toEqual({
        ...{ code: 22, stdout: output },
      });
    }
  }, 360_000);

  it("goes with docs/self-rotation.md, whose commands work as they stand, too", async () => {
    const directory = mkdtempSync(join(tmpdir(), "murmur-documents-"));
    const script = bashBlocks("docs/self-rotation.md").map(({ code }) => code);
    const own = { DIR: directory, MURMUR_RUN_DIR: join(stack.place.runDir, "vm-1") };
    const { code, stdout } = await runBash(script.join("\n"), { ...env, ...own });
    expect(readFileSync(join(directory, "own.env"), "utf8")).toMatch(
      /^mur_agt_\w+\nmur_rot_\w+\n$/,
    );
    const pairs = ["my-coder.env", "first.env", "second.env"].map((file) =>
      readFileSync(join(directory, file), "utf8"),
    );
    rmSync(directory, { recursive: true });
    expect({ code, stdout }).toEqual({
      ...{
        code: 0,
        stdout: expect.stringMatching(
          /^mur_inv_\w+\nAPI key and rotation secret rotated [^]*\nRevoked agent lost-\d+\n$/,
        ) as string,
      },
    });
    expect(new Set(pairs).size).toBe(3);
    for (const pair of pairs)
      expect(pair).toMatch(/^AGENT_API_KEY=mur_agt_\w+\nAGENT_ROTATION_SECRET=mur_rot_\w+\n$/);
  }, 360_000);

  it("goes with docs/tenants.md, whose commands work as they stand, too", async () => {
    const directory = mkdtempSync(join(tmpdir(), "murmur-documents-"));
    const key = signingKeyOf(stack.identities.rotationKeyFile);
    const who = { tenantId: "acme", developer: "github/olga", role: "owner" } as const;
    const token = await issueDeveloperToken(key, { ...who, ttlSeconds: 600 });
    const config = join(directory, "murmur.local.yaml");
    const { catalog, rotation } = stack.place;
    const lines = [`catalog: ${catalog}`, `rotation: ${rotation}`, `token: ${token}`, ""];
    writeFileSync(config, lines.join("\n"), { mode: 0o600 });
    const script = bashBlocks("docs/tenants.md").map(({ code }) => code);
    const own = { DIR: directory, MURMUR_CONFIG: config };
    const { code, stdout, stderr } = await runBash(script.join("\n"), { ...env, ...own });
    rmSync(directory, { recursive: true });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain('Deleted tenant "acme"');
    expect(stdout).toContain("no credential counts any more; agents are being ended");
  }, 360_000);

  it("calls every RPC that is for developers", () => {
    const page = readFileSync(join(ROOT, "docs/grpc.md"), "utf8");
    const own =
      /CredentialSecretService\/|TenantDataService\/|JoinVm|RenewVmToken|OpenDeliverySession|FetchEnvironments|WatchVm|SyncVm|SnapshotEnvironments|ReleaseGenerations|FindPins|PreviewEnvironments|StoreSpawnSecrets|SetAgentSecrets|ListDueRotations|RotateForAgent|ListRemovedVms|RenewIdentityToken|GetSignIn|ExchangeToken|VerifyIdentityTokens|AwaitCredentialChanges|RemoveVm|VerifyCredentials?$/;
    const rpcs = ["catalog", "rotation", "audit"].flatMap((area) => {
      const directory = join(ROOT, "proto/murmur", area, "v1");
      return readdirSync(directory).flatMap((file) => {
        const text = readFileSync(join(directory, file), "utf8");
        const service = /^service (\w+)/m.exec(text)?.[1] ?? "";
        return [...text.matchAll(/^ {2}rpc (\w+)/gm)].map(
          ([, name = ""]) => `murmur.${area}.v1.${service}/${name}`,
        );
      });
    });
    for (const rpc of rpcs.filter((name) => !own.test(name))) expect(page).toContain(rpc);
  });
});

describe("docs/operations.md", () => {
  it("explains every configuration variable", () => {
    const page = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
    const tls = page.replaceAll(
      /`(MURMUR_\w+_TLS)_CERT_FILE`, `…_KEY_FILE`/g,
      "$1_CERT_FILE $1_KEY_FILE",
    );
    for (const name of CONFIG_VARIABLES) expect(tls).toContain(name);
  });
});

describe("the documents", () => {
  it("link to pages that are there", () => {
    const pages = [
      "README.md",
      "CONTRIBUTING.md",
      "SECURITY.md",
      ...readdirSync(join(ROOT, "docs"))
        .filter((name) => name.endsWith(".md"))
        .map((name) => `docs/${name}`),
    ];
    const missing = pages.flatMap((page) => {
      const text = readFileSync(join(ROOT, page), "utf8");
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = ""]) => link);
      return links
        .filter((link) => !exists(join(ROOT, page, "..", link)))
        .map((link) => `${page}: ${link}`);
    });
    expect(missing).toEqual([]);
  });
});

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
