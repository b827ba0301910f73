import { type Sensitive } from "../../../lib/sensitive";

/** What stands in the place of a value. */
export const MASK = Buffer.from("[redacted]");
/** Lines of a value that is several are looked for, too, from this length on. */
const MIN_LINE_BYTES = 8;
/** Shorter ones would be found in encodings of anything; longer ones are in no header or URL. */
const MIN_ENCODED_BYTES = 8;
const MAX_ENCODED_BYTES = 4_096;

/**
 * What a program wrote, with every one of these values masked: whole, line by line, as JSON has it,
 * and in hexadecimal, base64 and URLs, as programs show headers that they send. Where the output was cut off, so is what may be the beginning of a value at its end.
 */
export function redact(
  output: Buffer,
  values: readonly Sensitive<Buffer>[],
  isCut: boolean,
): string {
  const needles = values
    .flatMap((value) => formsOf(value.expose()))
    .filter(({ length }) => length > 0)
    // A value that holds another goes first.
    .sort((a, b) => b.length - a.length);
  const ended = isCut ? withoutBeginning(output, needles) : output;
  return mask(ended, needles).toString("utf8");
}

/** Adds the values that are not among the known ones yet. */
export function addUnknown(known: Sensitive<Buffer>[], values: readonly Sensitive<Buffer>[]): void {
  for (const value of values) {
    const bytes = value.expose();
    if (!known.some((each) => each.expose().equals(bytes))) known.push(value);
  }
}

function formsOf(value: Buffer): Buffer[] {
  const text = value.toString("utf8");
  const json = Buffer.from(JSON.stringify(text).slice(1, -1));
  const lines = text
    .split("\n")
    .map((line) => Buffer.from(line))
    .filter(({ length }) => length >= MIN_LINE_BYTES);
  return [value, json, ...(lines.length > 1 ? lines : []), ...encodedForms(value)];
}

function encodedForms(value: Buffer): Buffer[] {
  if (value.length < MIN_ENCODED_BYTES || value.length > MAX_ENCODED_BYTES) return [];
  const hex = value.toString("hex");
  const base64 = base64Forms(value);
  const urls = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const percent = encodeURIComponent(value.toString("utf8"));
  return [hex, hex.toUpperCase(), ...base64, ...urls, percent].map((text) => Buffer.from(text));
}

/** Alone, and what of it does not depend on whatever is encoded before and behind it. */
function base64Forms(value: Buffer): string[] {
  const inner = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), value]).toString("base64");
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  return [value.toString("base64").replace(/=+$/, ""), ...inner];
}

function mask(text: Buffer, needles: readonly Buffer[]): Buffer {
  const hits = needles.flatMap((needle) => [...findAll(text, needle)]);
  if (hits.length === 0) return text;
  hits.sort((a, b) => a.start - b.start);
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end } of hits) {
    if (start >= at) parts.push(text.subarray(at, start), MASK);
    at = Math.max(at, end);
  }
  return Buffer.concat([...parts, text.subarray(at)]);
}

function* findAll(text: Buffer, needle: Buffer): Generator<{ start: number; end: number }> {
  for (let start = text.indexOf(needle); start >= 0; start = text.indexOf(needle, start + 1)) {
    yield { start, end: start + needle.length };
  }
}

/** Cuts the longest end of the text with which a value begins. */
function withoutBeginning(text: Buffer, needles: readonly Buffer[]): Buffer {
  let cut = 0;
  for (const needle of needles) {
    for (let length = Math.min(needle.length - 1, text.length); length > cut; length--) {
      const isBeginning = text.subarray(text.length - length).equals(needle.subarray(0, length));
      if (isBeginning) cut = length;
    }
  }
  return text.subarray(0, text.length - cut);
}
