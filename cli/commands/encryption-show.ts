import { type Run } from "../command";
import { encryptionRows, encryptionToJson } from "../encryption/views";
import { printable } from "../output/printable";

export const run: Run = async ({ catalog, output, clock }, call) => {
  const { encryption } = await catalog();
  const answer = await encryption.getEncryption({});
  if (call.flag("json")) {
    output.json(encryptionToJson(answer));
    return;
  }
  for (const [name, text] of encryptionRows(answer, clock.now()))
    output.line(`${`${name}:`.padEnd(15)}${printable(text)}`);
};
