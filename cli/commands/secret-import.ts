import { randomUUID } from "node:crypto";
import { type Secret } from "../../gen/murmur/catalog/v1/secrets";
import { isAppError } from "../../lib/errors";
import { type CommandContext, type Run } from "../command";
import { HintedError, LocalError } from "../errors";
import { type EnvFileEntry } from "../input/env-file";
import { nameOf, readEnvFile } from "../input/read-env-file";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const path = call.arg("file");
  const isDryRun = call.flag("dry-run");
  const entries = await readEnvFile(context.terminal, path);
  if (entries.length === 0) throw new LocalError(`${nameOf(path)} holds no NAME=value`);
  const written = await write(context, { path, entries, isDryRun });
  if (call.flag("json")) context.output.json(written.map(toJson));
  else
    for (const secret of written)
      context.output.line(`${wordFor(secret, isDryRun)} secret "${secret.name}"`);
};

interface Import {
  path: string;
  entries: readonly EnvFileEntry[];
  isDryRun: boolean;
}

/** All or none, once even when the call has to be repeated. */
async function write(
  context: CommandContext,
  { path, entries, isDryRun }: Import,
): Promise<Secret[]> {
  const { secrets } = await context.catalog();
  const request = {
    secrets: entries.map(({ name, value }) => ({
      name,
      plaintextValue: Buffer.from(value.expose()),
    })),
    dryRun: isDryRun,
    requestId: randomUUID(),
  };
  try {
    return (await patient(() => secrets.importSecrets(request))).secrets;
  } catch (error) {
    const line = lineOf(error, entries);
    if (line === undefined) throw error;
    throw new HintedError(error, `It is on line ${line} of ${nameOf(path)}. Nothing was imported.`);
  }
}

/** Of the first name or value that the catalog refused. */
function lineOf(error: unknown, entries: readonly EnvFileEntry[]): number | undefined {
  if (!isAppError(error, "INVALID_ARGUMENT")) return undefined;
  const { field = "", name } = error.metadata;
  const index = /^secrets\[(\d+)\]/.exec(field)?.[1];
  const entry = index === undefined ? entries.find((it) => it.name === name) : entries[+index];
  return entry?.line;
}

/** Created by this very write: it was not there, or deleted. */
function isNew({ createdAt, updatedAt }: Secret): boolean {
  return createdAt?.getTime() === updatedAt?.getTime();
}

function wordFor(secret: Secret, isDryRun: boolean): string {
  if (isDryRun) return isNew(secret) ? "Would add" : "Would change";
  return isNew(secret) ? "Added" : "Changed";
}

function toJson(secret: Secret) {
  return {
    name: secret.name,
    change: isNew(secret) ? "added" : "changed",
    version: secret.version,
  };
}
