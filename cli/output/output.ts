import { type Terminal } from "../terminal";
import { createLiveBlock, type LiveBlock } from "./live-block";
import { printable } from "./printable";
import { createStyle, type Style } from "./style";

/** Where a command's words go: results on standard output, all else on standard error. */
export interface Output {
  style: Style;
  errorStyle: Style;
  /** One line of the result. */
  line(text: string): void;
  lines(texts: readonly string[]): void;
  /** The result for machines: one JSON document; times in ISO 8601, absent fields left out. */
  json(value: unknown): void;
  /** One line beside the result. */
  note(text: string): void;
  /** Something that the caller should know of, in the words of a service. */
  warn(text: string): void;
  /** Lines that are drawn over and over, on a terminal only. */
  live: LiveBlock;
}

export function createOutput({ env, stdout, stderr }: Terminal): Output {
  const errorStyle = createStyle(stderr, env);
  const live = createLiveBlock(stderr);
  const line = (text: string) => {
    live.clear();
    stdout.write(`${text}\n`);
  };
  const note = (text: string) => {
    live.clear();
    stderr.write(`${text}\n`);
  };
  return {
    style: createStyle(stdout, env),
    errorStyle,
    line,
    lines: (texts) => {
      texts.forEach(line);
    },
    json: (value) => {
      line(JSON.stringify(value, toJsonValue, 2));
    },
    note,
    warn: (text) => {
      note(`${errorStyle.yellow("warning:")} ${printable(text)}`);
    },
    live,
  };
}

/** Counters of the protocol are 64 bits wide and small in fact. */
function toJsonValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
