import { type Sensitive } from "../../lib/sensitive";
import { type Terminal } from "../terminal";

/** Writes a value byte for byte; on a terminal, for whoever reads it there, with a newline. */
export function writeValue({ stdout }: Terminal, value: Sensitive<Buffer>): void {
  stdout.write(value.expose());
  if (stdout.isTTY) stdout.write("\n");
}
