import { type Run } from "../command";
import { COMPLETION_SCRIPTS } from "../completion/scripts";
import { UsageError } from "../errors";

export const run: Run = ({ output }, call) => {
  const script = COMPLETION_SCRIPTS[call.arg("shell")];
  if (script === undefined)
    throw new UsageError(`shell must be one of ${Object.keys(COMPLETION_SCRIPTS).join(", ")}`);
  output.line(script);
  return Promise.resolve();
};
