import { type Run } from "../command";
import { LocalError, UsageError } from "../errors";

/**
 * The program `murmur` does this itself, in its shell part, since Node cannot become another
 * program. Here is what that leaves to be explained.
 */
export const run: Run = (_context, call) => {
  if (call.rest[0] === "") throw new UsageError("command must name a program");
  throw new LocalError(
    "this program cannot become another one",
    "Run it as bin/murmur exec, with options before --.",
  );
};
