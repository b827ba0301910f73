import { type Run } from "../command";
import { printable } from "../output/printable";

export const run: Run = async ({ rotation, output }, call) => {
  const developer = call.arg("developer");
  const { people } = await rotation();
  const { revokedCredentials, livingAgents } = await people.removePerson({ developer });
  output.line(printable(`Removed ${developer}`));
  if (revokedCredentials > 0)
    output.note(
      `Revoked ${count(revokedCredentials, "API key or agent token", "API keys and agent tokens")}`,
    );
  if (livingAgents > 0)
    output.note(
      `${count(livingAgents, "agent", "agents")} of theirs still live: murmur ls shows them, murmur kill ends them.`,
    );
};

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
