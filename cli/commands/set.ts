import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { invalid } from "../../lib/errors";
import { sensitive } from "../../lib/sensitive";
import { type CommandContext, type Run } from "../command";
import { UsageError } from "../errors";
import { parseResourceDocument } from "../input/resource-document";
import { createResourceReader, type ResourceReader } from "../input/resource-reader";
import { readStdin } from "../input/stdin";
import { parseKind } from "../kind";
import { patient } from "../patient";
import { writeSecret } from "../write-secret";

export const run: Run = async (context, call) => {
  const kind = parseKind(call.arg("kind"));
  const name = call.arg("name");
  if (context.terminal.stdin.isTTY)
    throw new UsageError(`pipe the ${kind} in, as JSON or YAML`, "Try murmur set --help.");
  const read = createResourceReader(parseResourceDocument(await readStdin(context.terminal)));
  const written = read.text("name");
  if (written !== undefined && written !== name)
    throw invalid("name", `name "${written}" differs from the argument "${name}"`);
  await { secret: setSecret, workspace: setWorkspace }[kind](context, name, read);
  context.output.line(`Set ${kind} "${name}"`);
};

async function setSecret(
  context: CommandContext,
  name: string,
  read: ResourceReader,
): Promise<void> {
  const description = read.text("description");
  const expectedVersion = read.count("expected_version");
  const value = read.text("plaintext_value") ?? "";
  const delivery = DELIVERIES[read.oneOf("delivery", ["environment", "file"]) ?? "unspecified"];
  read.refuseOthers(["created_at", "updated_at", "updated_by", "version"]);
  await writeSecret(context, {
    name,
    value: sensitive(Buffer.from(value)),
    delivery,
    description,
    expectedVersion,
  });
}

const DELIVERIES = {
  unspecified: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  environment: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
  file: SecretDelivery.SECRET_DELIVERY_FILE,
};

async function setWorkspace(
  context: CommandContext,
  name: string,
  read: ResourceReader,
): Promise<void> {
  const names = read.texts("secret_refs");
  const request = {
    name,
    description: read.text("description"),
    secretRefs: names && { names },
    vms: read.texts("vms") ?? [],
    expectedRevision: read.count("expected_revision"),
  };
  read.refuseOthers(["created_at", "updated_at", "updated_by", "revision"]);
  const { workspaces } = await context.catalog();
  const { warnings } = await patient(() => workspaces.setWorkspace(request));
  for (const warning of warnings) context.output.warn(warning);
}
