import { type Run } from "../command";
import { parseKind } from "../kind";
import { withSecretHint } from "../secret-hints";

export const run: Run = async (context, call) => {
  const kind = parseKind(call.arg("kind"));
  const name = call.arg("name");
  const { secrets, workspaces } = await context.catalog();
  if (kind === "workspace") await workspaces.deleteWorkspace({ name });
  else
    await withSecretHint({ name, isDeletion: true }, () =>
      secrets.deleteSecret({ name, expectedVersion: undefined }),
    );
  context.output.line(`Deleted ${kind} "${name}"`);
};
