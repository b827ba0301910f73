import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { sensitive } from "../../lib/sensitive";
import { type CommandContext, type Invocation, type Run } from "../command";
import { UsageError } from "../errors";
import { parseOptionalCount } from "../input/count";
import { hiddenPrompt } from "../input/hidden-prompt";
import { dropNewline, readStdin } from "../input/stdin";
import { writeSecret } from "../write-secret";

export const run: Run = async (context, call) => {
  const name = call.arg("name");
  const delivery = toDelivery(call);
  const expectedVersion = parseOptionalCount("--expected-version", call.text("expected-version"));
  const description = call.text("description");
  const value = sensitive(await readValue(context, name));
  await writeSecret(context, { name, value, delivery, description, expectedVersion });
  context.output.line(`Set secret "${name}"`);
};

async function readValue({ terminal }: CommandContext, name: string): Promise<Buffer> {
  if (terminal.stdin.isTTY) return hiddenPrompt(terminal, `Value of ${name}: `);
  return dropNewline(await readStdin(terminal));
}

function toDelivery(call: Invocation): SecretDelivery {
  if (call.flag("as-file") && call.flag("as-env"))
    throw new UsageError("--as-file and --as-env exclude each other");
  if (call.flag("as-file")) return SecretDelivery.SECRET_DELIVERY_FILE;
  if (call.flag("as-env")) return SecretDelivery.SECRET_DELIVERY_ENVIRONMENT;
  return SecretDelivery.SECRET_DELIVERY_UNSPECIFIED;
}
