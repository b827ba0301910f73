import { type ByteWriter } from "../byte-writer";
import { type FormInput, type Form } from "./form";

const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * `env.json`: for everything else; the one form that carries every name. One flat object: each
 * name with its value as a string, sorted, and three keys that no name can have, since names start
 * with a letter:
 * - `_generation`: the number, as a string (it may pass 2^53);
 * - `_unset`: the names to unset, cumulative;
 * - `_omitted`: form → name → reason, for what a form of this generation leaves out.
 */
export const envJsonForm: Form = {
  name: "env.json",
  refusal: () => undefined,
  write(writer, input) {
    writer.text("{\n");
    for (const { name, value } of input.entries) {
      writer.text(`"${name}":`);
      writeString(writer, value);
      writer.text(",\n");
    }
    writer.text(`"_generation":"${input.generation.toString()}",\n`);
    writer.text(`"_unset":${JSON.stringify(input.unset)},\n`);
    writer.text(`"_omitted":${JSON.stringify(omittedByForm(input))}\n}\n`);
  },
};

function omittedByForm(input: FormInput): Record<string, Record<string, string>> {
  const byForm: Record<string, Record<string, string>> = {};
  for (const { form, name, reason } of input.omitted) (byForm[form] ??= {})[name] = reason;
  return byForm;
}

/** A JSON string from UTF-8 bytes: only quotes, backslashes and controls are escaped. */
function writeString(writer: ByteWriter, value: Uint8Array): void {
  writer.byte(DOUBLE_QUOTE);
  let start = 0;
  for (let at = 0; at < value.length; at++) {
    const byte = value[at] ?? 0;
    if (byte >= 0x20 && byte !== DOUBLE_QUOTE && byte !== BACKSLASH) continue;
    writer.bytes(value, start, at).text(escapeOf(byte));
    start = at + 1;
  }
  writer.bytes(value, start, value.length).byte(DOUBLE_QUOTE);
}

function escapeOf(byte: number): string {
  if (byte === DOUBLE_QUOTE) return '\\"';
  if (byte === BACKSLASH) return "\\\\";
  if (byte === 0x0a) return "\\n";
  return `\\u${byte.toString(16).padStart(4, "0")}`;
}
