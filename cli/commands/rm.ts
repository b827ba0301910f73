import { type Run } from "../command";
import { parseKind } from "../resources/kind";
import { resourceOf } from "../resources/resources";

export const run: Run = async (context, call) => {
  const kind = parseKind(call.arg("kind"));
  const name = call.arg("name");
  await resourceOf(kind).remove(context, name);
  context.output.line(`Deleted ${kind} "${name}"`);
};
