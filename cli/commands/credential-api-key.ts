import { type Run } from "../command";
import { writeValue } from "../credentials/write-value";
import { LocalError } from "../errors";
import { readOwnValues } from "../vm-side/own-values";

const DEFAULT_NAME = "ANTHROPIC_API_KEY";

export const run: Run = async ({ terminal }, call) => {
  const name = call.arg("name") || DEFAULT_NAME;
  const value = (await readOwnValues(terminal.env, [name])).get(name);
  if (!value) throw new LocalError(`this agent has no ${name}`);
  writeValue(terminal, value);
};
