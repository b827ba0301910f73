import { type Environment } from "../../lib/config";

type Paint = (text: string) => string;

/** Colours for one stream; each function returns the text as it is when the stream takes none. */
export interface Style {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
}

/** Colours only on a terminal that knows them, and never with NO_COLOR (no-color.org). */
export function createStyle(stream: { isTTY?: boolean }, env: Environment): Style {
  const isColoured = stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  const paint =
    (open: number, close: number): Paint =>
    (text) =>
      isColoured ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
  };
}
