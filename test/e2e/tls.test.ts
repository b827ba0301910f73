import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Part, spawnPart } from "../../dev/parts/part";
import { type Identities, makeIdentities } from "../../dev/stack/identities";
import { Murmur } from "../../dev/stack/murmur";
import { writePrivate } from "../../dev/stack/private-file";
import { SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { createClient, openChannel } from "../../lib/grpc/client";
import { createTestAuthority, type TestAuthority } from "../harness/certificates";
import { eventually } from "../harness/eventually";
import { createTestDatabase, type TestDatabase } from "../harness/postgres";

const ROOT = join(__dirname, "..", "..");

const REFUSED = "the service's certificate is not accepted: unable to verify the first certificate";

let directory: string;
let database: TestDatabase;
let identities: Identities;
let ours: TestAuthority;
let others: TestAuthority;
let catalog: string;
let rotation: string;
const parts: Part[] = [];

const logOf = (name: string) => {
  const file = join(directory, `${name}.log`);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};

async function start(
  name: string,
  bundle: string,
  env: Record<string, string>,
  sign: RegExp,
): Promise<Part> {
  const part = await spawnPart({
    ...{ name, cwd: ROOT, logFile: join(directory, `${name}.log`) },
    command: [process.execPath, join(ROOT, "dist", `${bundle}.js`)],
    env: { PATH: process.env["PATH"], HOME: directory, ...env },
    isReady: () => sign.test(logOf(name)),
  });
  parts.push(part);
  return part;
}

/** Starts a service that serves TLS, on a port of its own choice; returns its address. */
async function serve(name: string, env: Record<string, string>): Promise<string> {
  const prefix = `MURMUR_${name.toUpperCase()}`;
  const own = {
    [`${prefix}_LISTEN`]: "127.0.0.1:0",
    [`${prefix}_DATABASE_URL_FILE`]: join(directory, "database-url"),
    [`${prefix}_TLS_CERT_FILE`]: ours.certFile,
    [`${prefix}_TLS_KEY_FILE`]: ours.keyFile,
    MURMUR_KEY_SET_FILE: identities.keySetFile,
  };
  const ready = /"port":(\d+),.*is ready/;
  await start(name, name, { ...own, ...env }, ready);
  return `127.0.0.1:${ready.exec(logOf(name))?.[1] ?? ""}`;
}

async function cliWith(caFile: string | undefined, name: string): Promise<Murmur> {
  const token = await identities.issueToken();
  const config = { catalog, rotation, tenant: identities.tenant, workspace: "demo", token };
  const lines = Object.entries({ ...config, ...(caFile && { ca_file: caFile }) });
  const text = lines.map(([key, value]) => `${key}: ${value}\n`).join("");
  return new Murmur(ROOT, writePrivate(join(directory, `${name}.yaml`), text));
}

const vmEnv = (name: string, caFile: string) => ({
  MURMUR_CATALOG_ADDRESS: catalog,
  MURMUR_ROTATION_ADDRESS: rotation,
  MURMUR_RUN_DIR: join(directory, name, "run"),
  MURMUR_STATE_DIR: join(directory, name, "state"),
  MURMUR_JOIN_TOKEN_FILE: join(directory, `${name}-join-token`),
  MURMUR_TLS_CA_FILE: caFile,
});

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-tls-"));
  database = await createTestDatabase("catalog", "rotation");
  identities = makeIdentities(directory);
  ours = createTestAuthority(directory, "ours");
  others = createTestAuthority(directory, "others");
  writePrivate(join(directory, "database-url"), database.url.expose());
  catalog = await serve("catalog", {
    MURMUR_CATALOG_SIGNING_KEY_FILE: identities.catalogKeyFile,
    MURMUR_KEY_PROVIDER: "local",
    MURMUR_LOCAL_KEYRING_FILE: identities.keyringFile,
  });
  rotation = await serve("rotation", {
    MURMUR_ROTATION_SIGNING_KEY_FILE: identities.rotationKeyFile,
    MURMUR_CATALOG_ADDRESS: catalog,
    MURMUR_TLS_CA_FILE: ours.caFile,
  });
}, 360_000);

afterAll(async () => {
  for (const part of parts.reverse()) await part.stop();
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

test("a secret reaches an agent with TLS between CLI, catalog, rotation and VM", async () => {
  const murmur = await cliWith(ours.caFile, "ours");
  await murmur.run(["set", "workspace", "demo"], "name: demo\n");
  await murmur.run(["secret", "set", "API_KEY"], "s3cret");
  const { stdout: joinToken } = await murmur.run(["vm", "join-token", "vm-1"]);
  writePrivate(join(directory, "vm-1-join-token"), joinToken);
  await start("vm-1", "vm-agent", vmEnv("vm-1", ours.caFile), /is ready/);
  const seen = join(directory, "seen");
  const script = `printf %s "$API_KEY" >'${seen}'; exec sleep 300`;
  await murmur.run(["spawn", "--vm", "vm-1", "fix-auth", "--", "sh", "-c", script]);
  await eventually(() => expect(existsSync(seen) && readFileSync(seen, "utf8")).toBe("s3cret"), {
    timeoutMs: 30_000,
  });
  await murmur.run(["rekey", "fix-auth"]);
  await murmur.run(["kill", "fix-auth"]);
}, 360_000);

test("a service whose certificate another authority signed is refused, and that is said", async () => {
  const channel = openChannel({ address: catalog, tls: { caFile: others.caFile } });
  try {
    await expect(
      createClient(SecretServiceService, channel).getSecret({ name: "API_KEY" }),
    ).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: REFUSED,
    });
  } finally {
    channel.close();
  }
  const cli = await (await cliWith(others.caFile, "others")).tryRun(["secret", "ls"]);
  expect(cli.code).not.toBe(0);
  expect(cli.stderr).toContain(REFUSED);
  writePrivate(
    join(directory, "vm-2-join-token"),
    readFileSync(join(directory, "vm-1-join-token"), "utf8"),
  );
  const vm = await start(
    "vm-2",
    "vm-agent",
    vmEnv("vm-2", others.caFile),
    /certificate is not accepted/,
  );
  expect(logOf("vm-2")).not.toContain("is ready");
  await vm.stop();
}, 360_000);

test("a caller that speaks no TLS is not served", async () => {
  const { code, stderr } = await (await cliWith(undefined, "plain")).tryRun(["secret", "ls"]);
  expect(code).not.toBe(0);
  expect(stderr).not.toBe("");
}, 360_000);
