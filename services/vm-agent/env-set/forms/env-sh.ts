import { type ByteWriter } from "../byte-writer";
import { type Form, shellRefusal, writeHeading } from "./form";

/** Written last: a live shell that finds it changed knows that all the rest has been read. */
const MARKER = "MURMUR_GENERATION";
const QUOTE = 0x27;

/**
 * `env.sh`: for POSIX shells to source. Only `export NAME='…'` and `unset NAME`: nothing in it
 * expands, runs, prints or reads, under `set -eu` too. A name that is there but cannot be carried
 * is unset, since an old value would be worse than none.
 */
export const envShForm: Form = {
  name: "env.sh",
  refusal: ({ name }) => shellRefusal(name),
  write(writer, input) {
    writeHeading(writer, input, "env.sh");
    for (const name of input.unset) {
      if (shellRefusal(name) === undefined) writer.text(`unset ${name}\n`);
    }
    const last = input.entries.filter(({ name }) => name === MARKER);
    const others = input.entries.filter(({ name }) => name !== MARKER);
    for (const { name, value } of [...others, ...last]) {
      writer.text(`export ${name}=`);
      writeQuoted(writer, value);
      writer.text("\n");
    }
  },
};

/** The value in single quotes; a quote within as `'\''`. */
function writeQuoted(writer: ByteWriter, value: Uint8Array): void {
  writer.byte(QUOTE);
  let start = 0;
  for (let at = value.indexOf(QUOTE); at >= 0; at = value.indexOf(QUOTE, at + 1)) {
    writer.bytes(value, start, at).text("'\\''");
    start = at + 1;
  }
  writer.bytes(value, start, value.length).byte(QUOTE);
}
