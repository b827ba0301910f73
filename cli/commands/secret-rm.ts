import { type Run } from "../command";
import { parseOptionalCount } from "../input/count";
import { withSecretHint } from "../secret-hints";

export const run: Run = async (context, call) => {
  const name = call.arg("name");
  const expectedVersion = parseOptionalCount("--expected-version", call.text("expected-version"));
  const { secrets } = await context.catalog();
  await withSecretHint({ name, isDeletion: true }, () =>
    secrets.deleteSecret({ name, expectedVersion }),
  );
  context.output.line(`Deleted secret "${name}"`);
};
