import { type Run } from "../command";
import { parseCount } from "../input/count";
import { withSecretHint } from "../secret-hints";

export const run: Run = async (context, call) => {
  const name = call.arg("name");
  const text = call.text("expected-version");
  const expectedVersion = text === undefined ? undefined : parseCount("--expected-version", text);
  const { secrets } = await context.catalog();
  await withSecretHint({ name, isDeletion: true }, () =>
    secrets.deleteSecret({ name, expectedVersion }),
  );
  context.output.line(`Deleted secret "${name}"`);
};
