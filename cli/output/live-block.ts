/** Lines at the foot of a terminal, replaced in place; nothing at all when it is no terminal. */
export interface LiveBlock {
  isLive: boolean;
  show(lines: readonly string[]): void;
  /** Takes the lines away, so that what is printed next stands in their place. */
  clear(): void;
}

export interface TerminalStream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const CLEAR_BELOW = "\u001b[0J";
const UP = (lines: number) => `\u001b[${lines}A`;

/**
 * Lines must hold no colours: they are cut to the width of the terminal, because a line that wraps
 * could not be taken back.
 */
export function createLiveBlock(stream: TerminalStream): LiveBlock {
  const isLive = stream.isTTY === true;
  let height = 0;
  const home = () => (height === 0 ? "" : `${UP(height)}\r`);
  return {
    isLive,
    show(lines) {
      if (!isLive) return;
      const widest = Math.max(10, (stream.columns ?? 80) - 1);
      const text = lines.map((line) => `${fit(line, widest)}\n`).join("");
      stream.write(`${home()}${CLEAR_BELOW}${text}`);
      height = lines.length;
    },
    clear() {
      if (height === 0) return;
      stream.write(`${home()}${CLEAR_BELOW}`);
      height = 0;
    },
  };
}

function fit(line: string, widest: number): string {
  const characters = Array.from(line);
  return characters.length <= widest ? line : `${characters.slice(0, widest - 1).join("")}…`;
}
