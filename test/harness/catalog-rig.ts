import { issueDeveloperToken } from "../../lib/identity/claims";
import { type CatalogClients, startCatalog, type TestCatalog } from "./catalog";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "./murmur-cli";

/** The command and a real catalog, as an owner of a tenant of each test's own. */
export interface CatalogRig {
  cli: TestCli;
  catalog: TestCatalog;
  clients: CatalogClients;
  tenantId: string;
  /** Where the configuration is. */
  cwd: string;
  murmur: (words: string, call?: CliCall) => Promise<CliRun>;
  /** Of a developer of the tenant. */
  token: (role: "member" | "owner") => Promise<string>;
}

/** A run that printed this, and nothing on standard error. */
export const ok = (stdout: string) => ({ code: 0, stdout, stderr: "" });

/** A run that failed with these lines. */
export const refused = (...lines: string[]) => ({
  code: 1,
  stdout: "",
  stderr: lines.map((line) => `${line}\n`).join(""),
});

/** Sets it up and takes it down around the tests of the file that calls this. */
export function useCatalogRig(): CatalogRig {
  let tenants = 0;
  const rig = {
    murmur: (words, call = {}) => rig.cli.run(words.split(" "), { cwd: rig.cwd, ...call }),
    token: (role) =>
      issueDeveloperToken(rig.catalog.rotationKey, {
        ...{ tenantId: rig.tenantId, developer: "github/alice", role, ttlSeconds: 3600 },
      }),
  } as CatalogRig;
  beforeAll(async () => {
    rig.cli = await buildTestCli();
    rig.catalog = await startCatalog();
  });
  afterAll(async () => {
    await rig.catalog.stop();
    rig.cli.remove();
  });
  beforeEach(async () => {
    rig.tenantId = `tenant-${++tenants}`;
    rig.clients = rig.catalog.clients(rig.catalog.developer({ tenantId: rig.tenantId }));
    rig.cwd = rig.cli.configured({ catalog: rig.catalog.address, token: await rig.token("owner") });
  });
  return rig;
}
