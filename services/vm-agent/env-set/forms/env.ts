import { type ByteWriter } from "../byte-writer";
import { type Entry } from "../env-set";
import { type Form, shellRefusal, writeHeading } from "./form";

const QUOTE = 0x27;
const BACKSLASH = 0x5c;

/** Bytes that mean themselves without quotes to all four readers. */
const PLAIN: readonly boolean[] = Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9_./:@%+,-]/.test(String.fromCharCode(byte)),
);

/**
 * `env`: `NAME=value`, plain or single-quoted, the dialect on which systemd's EnvironmentFile,
 * dotenv, python-dotenv and a sourcing sh read the same bytes. What any of them would read
 * otherwise is left out with a comment.
 */
export const envForm: Form = {
  name: "env",
  refusal: ({ name, value }) => shellRefusal(name) ?? valueRefusal(value),
  write(writer, input) {
    writeHeading(writer, input, "env");
    for (const entry of input.entries) writeLine(writer, entry);
  },
};

function writeLine(writer: ByteWriter, { name, value }: Entry): void {
  writer.text(name).text("=");
  if (isPlain(value)) writer.bytes(value);
  else writer.byte(QUOTE).bytes(value).byte(QUOTE);
  writer.text("\n");
}

function isPlain(value: Uint8Array): boolean {
  for (const byte of value) if (!PLAIN[byte]) return false;
  return value.length > 0;
}

/**
 * Inside single quotes the four differ on: the quote itself; a doubled or final backslash
 * (python-dotenv unescapes, dotenv skips the closing quote); carriage returns (both dotenvs turn
 * them into newlines); other control characters (systemd before 247 drops the line); characters
 * that Unicode calls noncharacters (systemd refuses the whole file); `${…}` (python-dotenv expands
 * it even here).
 */
function valueRefusal(value: Uint8Array): string | undefined {
  for (let at = 0; at < value.length; at++) {
    const byte = value[at] ?? 0;
    if (byte === QUOTE) return "a single quote";
    if (byte === BACKSLASH && (at + 1 === value.length || value[at + 1] === BACKSLASH)) {
      return "a doubled or final backslash";
    }
    if ((byte < 0x20 && byte !== 0x09 && byte !== 0x0a) || byte === 0x7f) {
      return "a control character";
    }
    if (byte >= 0xef && isNoncharacter(value, at)) return "a noncharacter of Unicode";
  }
  return hasExpansion(value) ? "an expansion in braces" : undefined;
}

/** U+FDD0 to U+FDEF, and the last two code points of each plane, by their UTF-8. */
function isNoncharacter(value: Uint8Array, at: number): boolean {
  const [first = 0, second = 0, third = 0, fourth = 0] = value.subarray(at, at + 4);
  if (first === 0xef) {
    if (second === 0xb7) return third >= 0x90 && third <= 0xaf;
    return second === 0xbf && third >= 0xbe;
  }
  return (second & 0x0f) === 0x0f && third === 0xbf && fourth >= 0xbe;
}

function hasExpansion(value: Uint8Array): boolean {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  const open = bytes.indexOf("${");
  return open >= 0 && bytes.indexOf("}", open) >= 0;
}
