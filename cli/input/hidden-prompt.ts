import { LocalError } from "../errors";
import { type Terminal } from "../terminal";

const ENTER = [0x0d, 0x0a];
const CTRL_C = 0x03;
const CTRL_D = 0x04;
const CTRL_U = 0x15;
const ERASE = [0x7f, 0x08];

/** A line typed on the terminal without being shown. Rejects when it is broken off. */
export async function hiddenPrompt(
  { stdin, stderr }: Pick<Terminal, "stdin" | "stderr">,
  question: string,
): Promise<Buffer> {
  // Before the question: whoever answers at once must not see it either.
  stdin.setRawMode(true);
  stderr.write(question);
  try {
    return await readLine(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.destroy();
    stderr.write("\n");
  }
}

async function readLine(stdin: AsyncIterable<unknown>): Promise<Buffer> {
  const line: number[] = [];
  for await (const chunk of stdin) {
    const bytes = Array.from(chunk as Buffer);
    for (const [index, byte] of bytes.entries()) {
      if (byte === CTRL_C) throw new LocalError("broken off");
      if (ENTER.includes(byte) || byte === CTRL_D) {
        refuseMoreLines(bytes.slice(index + 1));
        return Buffer.from(line);
      }
      type(line, byte);
    }
  }
  throw new LocalError("the terminal went away");
}

function type(line: number[], byte: number): void {
  if (byte === CTRL_U) line.length = 0;
  else if (ERASE.includes(byte)) erase(line);
  else line.push(byte);
}

/** Takes back one character: a UTF-8 sequence is a lead byte and its continuations. */
function erase(line: number[]): void {
  let byte = line.pop();
  while (byte !== undefined && byte >= 0x80 && byte < 0xc0) byte = line.pop();
}

/** A value of several lines that was pasted would end up half here and half in the shell. */
function refuseMoreLines(rest: number[]): void {
  if (rest.some((byte) => !ENTER.includes(byte)))
    throw new LocalError("more than one line was given", "Pipe a value of several lines in.");
}
