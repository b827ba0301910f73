import { invalid } from "../../lib/errors";
import { type Run } from "../command";
import { UsageError } from "../errors";
import { parseResourceDocument } from "../input/resource-document";
import { createResourceReader } from "../input/resource-reader";
import { readStdin } from "../input/stdin";
import { parseKind } from "../resources/kind";
import { resourceOf } from "../resources/resources";

export const run: Run = async (context, call) => {
  const kind = parseKind(call.arg("kind"));
  const name = call.arg("name");
  if (context.terminal.stdin.isTTY)
    throw new UsageError(`pipe the ${kind} in, as JSON or YAML`, "Try murmur set --help.");
  const read = createResourceReader(parseResourceDocument(await readStdin(context.terminal)));
  const written = read.text("name");
  if (written !== undefined && written !== name)
    throw invalid("name", `name "${written}" differs from the argument "${name}"`);
  await resourceOf(kind).set(context, name, read);
  context.output.line(`Set ${kind} "${name}"`);
};
