import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../lib/config";
import { loadCatalogConfig } from "./config";

let directory: string;
let env: Record<string, string>;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-config-"));
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return join(directory, name);
  };
  env = {
    MURMUR_CATALOG_DATABASE_URL_FILE: file("url", "postgres://murmur:password@db/murmur\n"),
    MURMUR_CATALOG_SIGNING_KEY_FILE: file("key", "{}"),
    MURMUR_KEY_SET_FILE: "/keys/set.json",
    MURMUR_LOCAL_KEYRING_FILE: "/keys/ring.json",
  };
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function problems(change: Record<string, string>): readonly string[] {
  try {
    loadCatalogConfig({ ...env, ...change });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("the catalog's configuration", () => {
  it("has a default for all but files and keys", () => {
    expect(loadCatalogConfig(env)).toMatchObject({
      listen: "127.0.0.1:7301",
      keyProvider: { kind: "local", keyringFile: "/keys/ring.json" },
      dataKeyCacheMs: 600_000,
      shutdownGraceMs: 10_000,
      tls: undefined,
    });
  });

  it("shows no secret when it is printed", () => {
    expect(JSON.stringify(loadCatalogConfig(env))).not.toContain("password");
  });

  it("names everything that is wrong at once", () => {
    const wrong = {
      MURMUR_CATALOG_LISTEN: "nowhere",
      MURMUR_CATALOG_SIGNING_KEY_FILE: join(directory, "missing"),
      MURMUR_KEY_PROVIDER: "vault-transit",
      MURMUR_VAULT_ADDRESS: "vault:8200",
      MURMUR_CATALOG_TLS_CERT_FILE: "/tls/cert.pem",
      MURMUR_CATALOGUE: "typo",
    };
    const found = problems(wrong).join("\n");
    for (const name of [
      "MURMUR_CATALOG_LISTEN",
      "MURMUR_CATALOG_SIGNING_KEY_FILE",
      "MURMUR_VAULT_ADDRESS must be a URL",
      "MURMUR_VAULT_TOKEN_FILE is required",
      "MURMUR_CATALOG_TLS_KEY_FILE",
      "MURMUR_CATALOGUE",
    ])
      expect(found).toContain(name);
  });

  it("takes Vault's key by name, and needs no keyring then", () => {
    const vault = {
      ...env,
      MURMUR_KEY_PROVIDER: "vault-transit",
      MURMUR_VAULT_ADDRESS: "https://vault:8200",
      MURMUR_VAULT_TOKEN_FILE: "/vault/token",
      MURMUR_LOCAL_KEYRING_FILE: "",
    };
    expect(loadCatalogConfig(vault).keyProvider).toEqual({
      kind: "vault-transit",
      address: "https://vault:8200",
      tokenFile: "/vault/token",
      transitKey: "murmur",
    });
  });
});
