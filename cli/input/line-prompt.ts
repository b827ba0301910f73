import { LocalError } from "../errors";
import { type Terminal } from "../terminal";

/** A line typed on the terminal, as it is shown there. Rejects when the terminal goes away. */
export async function linePrompt(
  { stdin, stderr }: Pick<Terminal, "stdin" | "stderr">,
  question: string,
): Promise<string> {
  stderr.write(question);
  let typed = "";
  try {
    for await (const chunk of stdin) {
      typed += (chunk as Buffer).toString();
      const end = typed.search(/[\r\n]/);
      if (end >= 0) return typed.slice(0, end);
    }
  } finally {
    stdin.destroy();
  }
  throw new LocalError("broken off");
}
