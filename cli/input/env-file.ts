import { isUtf8 } from "node:buffer";
import { sensitive, type Sensitive } from "../../lib/sensitive";

/** One name of an env file with its value. */
export interface EnvFileEntry {
  name: string;
  value: Sensitive<string>;
  /** Where its name stands, from 1. */
  line: number;
}

/** What is wrong with an env file; the message repeats nothing of it but names. */
export class EnvFileError extends Error {
  constructor(
    readonly line: number,
    readonly fault: string,
  ) {
    super(`line ${line}: ${fault}`);
    this.name = "EnvFileError";
  }
}

/** Up to the value: whether blank, a comment, or a name, with or without `export`. */
const BLANK = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
const NAME = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)([ \t]*)=([ \t]*)/y;
/** After a closing quote. */
const TAIL = /[ \t]*(?:[ \t]#[^\n]*)?(?:\n|$)/y;
const BARE = /[^\n]*/y;
const SINGLE = /'([^']*)'/y;
const DOUBLE = /"([^"\\]*(?:\\[^][^"\\]*)*)"/y;

/** What a value without quotes may not hold, and what programs do with it. */
const AMBIGUOUS: readonly (readonly [RegExp, string])[] = [
  [/#/, "some programs read # as a comment"],
  [/\$/, "some programs expand $"],
  [/(?:^|:)~/, "some programs expand ~"],
  [/\\/, "some programs take a backslash away"],
  [/`/, "some programs run what stands in backticks"],
  [/['"]/, "some programs take quotes away"],
  [/\s/, "some programs end a value at a blank, or take it away"],
  [/[;&|<>()]/, "some programs end a value at one of ; & | < > ( )"],
];

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: "\n", r: "\r", t: "\t" },
  ...{ "\\": "\\", '"': '"', "'": "'", $: "$", "`": "`" },
};

/**
 * Reads `NAME=value` lines: plain (what means itself to every program), in single quotes (literal, `'\''` for a quote) or in double quotes
 * (`\n`, `\"` and the like), quoted ones over several lines. Blank lines, comments and `export` are
 * skipped. What programs that read such files disagree on is refused: a secret must not come out
 * other than it was meant. Nothing expands, nothing runs. Throws EnvFileError.
 */
export function parseEnvFile(bytes: Buffer): EnvFileEntry[] {
  requireUtf8(bytes);
  const text = bytes.toString("utf8").replace(/^\ufeff/, "");
  return new EnvFileParser(withPlainNewlines(text)).entries();
}

function requireUtf8(bytes: Buffer): void {
  if (isUtf8(bytes)) return;
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) throw new EnvFileError(line, "it is not UTF-8");
    start = end + 1;
  }
}

/** Of a file from Windows, where each line ends so. Elsewhere a carriage return may belong to a value. */
function withPlainNewlines(text: string): string {
  if (!text.includes("\r")) return text;
  const plain = text.replaceAll("\r\n", "\n");
  const newlines = plain.split("\n").length - 1;
  if (text.length - plain.length === newlines && !plain.includes("\r")) return plain;
  const line = text.slice(0, text.indexOf("\r")).split("\n").length;
  throw new EnvFileError(line, "it has a carriage return: write \\r in double quotes");
}

class EnvFileParser {
  readonly #lines = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(private readonly text: string) {}

  entries(): EnvFileEntry[] {
    const found: EnvFileEntry[] = [];
    while (this.#at < this.text.length) {
      if (this.#take(BLANK)) continue;
      found.push(this.#entry());
    }
    return found;
  }

  #entry(): EnvFileEntry {
    const line = this.#line;
    const [, name, before, after] = this.#take(NAME) ?? [];
    // The text is not repeated: it may be the second line of a value.
    if (name === undefined) throw this.#fault("it is not NAME=value, nor a comment");
    if (before || after) throw this.#fault("blanks stand beside its =: some programs keep them");
    const earlier = this.#lines.get(name);
    if (earlier !== undefined) throw this.#fault(`${name} stands on line ${earlier} already`);
    this.#lines.set(name, line);
    return { name, value: sensitive(this.#value()), line };
  }

  #value(): string {
    const start = this.text[this.#at];
    if (start === "'") return this.#single();
    if (start === '"') return this.#double();
    return this.#bare();
  }

  #single(): string {
    let value = "";
    for (;;) {
      const line = this.#line;
      const part = this.#take(SINGLE);
      if (!part) throw new EnvFileError(line, "its single quote is not closed");
      value += part[1] ?? "";
      // As shells write a quote: close, an escaped one, open.
      if (!this.text.startsWith("\\''", this.#at)) break;
      value += "'";
      this.#at += 2;
    }
    this.#endOfQuoted();
    return value;
  }

  #double(): string {
    const line = this.#line;
    const body = this.#take(DOUBLE)?.[1];
    if (body === undefined) throw new EnvFileError(line, "its double quote is not closed");
    const unescaped = body.replace(/\\[^]/g, "");
    if (/[$`]/.test(unescaped))
      throw new EnvFileError(line, "some programs expand $ and backticks: use single quotes");
    const value = body.replace(/\\([^])/g, (_, escaped: string) => {
      const meant = ESCAPES[escaped];
      if (meant !== undefined) return meant;
      const what = "it has a backslash before a character that needs none";
      throw new EnvFileError(line, `${what}: use single quotes`);
    });
    this.#endOfQuoted();
    return value;
  }

  #bare(): string {
    const line = this.#line;
    const value = this.#take(BARE)?.[0] ?? "";
    this.#take(/\n/y);
    for (const [pattern, what] of AMBIGUOUS)
      if (pattern.test(value)) throw new EnvFileError(line, `${what}: use single quotes`);
    return value;
  }

  #endOfQuoted(): void {
    const line = this.#line;
    if (!this.#take(TAIL)) throw new EnvFileError(line, "something follows its closing quote");
  }

  /** What matches here, passed over. */
  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (!match) return null;
    this.#at += match[0].length;
    for (const char of match[0]) if (char === "\n") this.#line++;
    return match;
  }

  #fault(what: string): EnvFileError {
    return new EnvFileError(this.#line, what);
  }
}
