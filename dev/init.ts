import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeIdentities } from "./stack/identities";
import { writePrivate } from "./stack/private-file";

/**
 * Prepares a directory of keys for an installation that starts its own processes, as
 * docker-compose.yml does: signing keys, key set, database URL, and the first developer's config.
 * What is there already is kept.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "database-url": { type: "string" },
      catalog: { type: "string" },
      rotation: { type: "string" },
      gateway: { type: "string" },
      workspace: { type: "string", default: "demo" },
      "vault-token": { type: "string" },
    },
  });
  const [directory] = positionals;
  const { catalog, rotation, gateway, workspace } = values;
  if (directory === undefined || values["database-url"] === undefined || !catalog || !rotation) {
    throw new Error(
      "usage: init DIRECTORY --database-url URL --catalog HOST:PORT --rotation HOST:PORT [--gateway HOST:PORT] [--vault-token TOKEN]",
    );
  }
  const identities = makeIdentities(directory);
  writePrivate(join(directory, "database-url"), values["database-url"]);
  if (values["vault-token"] !== undefined)
    writePrivate(join(directory, "vault-token"), values["vault-token"]);
  const token = await identities.issueToken();
  const config = {
    ...{ catalog, rotation, ...(gateway !== undefined && { gateway }) },
    ...{ tenant: identities.tenant, workspace, token },
  };
  const lines = Object.entries(config).map(([key, value]) => `${key}: ${value}\n`);
  writePrivate(join(directory, "murmur.local.yaml"), lines.join(""));
}

main().catch((error: unknown) => {
  process.stderr.write(`init: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
});
