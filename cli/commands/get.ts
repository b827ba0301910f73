import { stringify } from "yaml";
import { type CommandContext, type Invocation, type Run } from "../command";
import { printable } from "../output/printable";
import { parseKind } from "../resources/kind";
import { resourceOf } from "../resources/resources";

export const run: Run = async (context, call) => {
  const resource = resourceOf(parseKind(call.arg("kind")));
  const name = call.arg("name");
  if (name === "") await resource.list(context, call);
  else show(context, call, await resource.get(context, name));
};

/** YAML that `murmur set` takes back: what is read-only it ignores. */
function show({ output }: CommandContext, call: Invocation, resource: object): void {
  if (call.flag("json")) output.json(resource);
  else output.lines(toYaml(resource).map(printable));
}

function toYaml(resource: object): string[] {
  return stringify(resource, { lineWidth: 0, keepUndefined: false }).trimEnd().split("\n");
}
