import { type Entry } from "../env-set";
import { type Form, writeHeading } from "./form";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** docker reads lines with a scanner of 64 KiB; the newline counts. */
const MAX_LINE_BYTES = 64 * 1024 - 1;

/**
 * `env.docker`: for `docker run --env-file`, which knows no quotes: everything after the first `=`
 * up to the end of the line is the value.
 */
export const envDockerForm: Form = {
  name: "env.docker",
  refusal,
  write(writer, input) {
    writeHeading(writer, input, "env.docker");
    for (const { name, value } of input.entries) {
      writer.text(name).text("=").bytes(value).text("\n");
    }
  },
};

function refusal({ name, value }: Entry): string | undefined {
  if (value.includes(NEWLINE)) return "a newline";
  if (value[value.length - 1] === CARRIAGE_RETURN) return "a final carriage return";
  if (name.length + 1 + value.length > MAX_LINE_BYTES) return "longer than a line may be";
  return undefined;
}
