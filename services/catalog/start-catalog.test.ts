import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateSigningKey, publicJwkOf, signingKeyToJwk } from "../../lib/identity/signing-key";
import { run } from "../../lib/lifecycle";
import { silentLog, type Log } from "../../lib/log";
import { isServing } from "../../dev/stack/health";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import type { CatalogConfig } from "./config";
import { startCatalog } from "./start-catalog";

let database: TestDatabase;
let directory: string;
beforeEach(async () => {
  database = await createTestDatabase("catalog");
  directory = mkdtempSync(join(tmpdir(), "murmur-start-"));
});
afterEach(async () => {
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

function configWith(keyring: string): CatalogConfig {
  const signingKey = generateSigningKey("murmur-catalog");
  const keySetFile = join(directory, "key-set.json");
  writeFileSync(keySetFile, JSON.stringify({ keys: [publicJwkOf(signingKey)] }));
  return {
    listen: "127.0.0.1:0",
    databaseUrl: database.url,
    signingKey: signingKeyToJwk(signingKey),
    keySetFile,
    tls: undefined,
    rotationAddress: undefined,
    rotationTls: undefined,
    keyProvider: { kind: "local", keyringFile: join(directory, keyring) },
    dataKeyCacheMs: 60_000,
    logLevel: "silent",
    otlpEndpoint: undefined,
    shutdownGraceMs: 2_000,
  };
}

/** Runs the service as main.ts does; `stop` is what SIGTERM does. */
function start(config: CatalogConfig) {
  const errors: unknown[] = [];
  let stop: () => void = () => undefined;
  let port: number | undefined;
  const log: Log = {
    ...silentLog,
    info: (_message, fields) => {
      if (typeof fields?.["port"] === "number") port = fields["port"];
    },
    error: (_message, fields) => errors.push(fields?.["error"]),
    child: () => log,
  };
  const signals = {
    onStop: (listener: (signal: string) => void) => {
      stop = () => {
        listener("SIGTERM");
      };
      return () => undefined;
    },
  };
  const exit = run("catalog", { log, graceMs: 20_000, signals }, (scope) =>
    startCatalog(config, scope, log),
  );
  return { exit, errors, stop: () => stop(), port: () => port };
}

async function startReady(config: CatalogConfig) {
  const service = start(config);
  await eventually(async () => {
    expect(service.port()).toBeDefined();
    expect(await isServing(`127.0.0.1:${service.port()}`)).toBe(true);
  });
  return service;
}

describe("the catalog", () => {
  it("starts, says that it serves, and ends cleanly when it is told to", async () => {
    const service = await startReady(configWith("keyring.json"));
    service.stop();
    expect(await service.exit).toBe(0);
  });

  it("starts again with the keyring that it made, and with no other", async () => {
    const first = await startReady(configWith("keyring.json"));
    first.stop();
    await first.exit;
    const again = await startReady(configWith("keyring.json"));
    again.stop();
    expect(await again.exit).toBe(0);
    const lost = start(configWith("other.json"));
    expect(await lost.exit).toBe(1);
    expect(String(lost.errors[0])).toContain("other.json is missing");
  });

  it("refuses to start with the wrong keyring", async () => {
    const first = await startReady(configWith("keyring.json"));
    first.stop();
    await first.exit;
    const elsewhere = await createTestDatabase("catalog");
    const stranger = { ...configWith("stranger.json"), databaseUrl: elsewhere.url };
    const second = await startReady(stranger);
    second.stop();
    await second.exit;
    await elsewhere.drop();
    const wrong = start(configWith("stranger.json"));
    expect(await wrong.exit).toBe(1);
    expect(String(wrong.errors[0])).toContain("the key provider does not belong to this database");
  });

  it("refuses to start on a schema that is older than it needs", async () => {
    const empty = await createTestDatabase();
    const service = start({ ...configWith("keyring.json"), databaseUrl: empty.url });
    expect(await service.exit).toBe(1);
    expect(String(service.errors[0])).toContain("run npm run migrate -- catalog");
    await empty.drop();
  });
});
