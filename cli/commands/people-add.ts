import { type Run } from "../command";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { parseRole, roleWord } from "../people/views";

export const run: Run = async ({ rotation, output }, call) => {
  const role = parseRole("--role", call.text("role") ?? "member");
  const developer = call.arg("developer");
  const { people } = await rotation();
  await patient(() => people.addPerson({ developer, role }));
  output.line(printable(`Added ${developer} (${roleWord(role)})`));
};
