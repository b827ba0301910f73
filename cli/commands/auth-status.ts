import { unauthenticated } from "../../lib/errors";
import { credentialWords, endWords } from "../auth/views";
import { type Run } from "../command";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { roleWord } from "../people/views";

export const run: Run = async ({ rotation, config, output, clock }, call) => {
  const { path, token } = await config();
  if (!token) throw unauthenticated();
  const { identity } = await rotation();
  const found = await patient(() => identity.getIdentity({}));
  if (call.flag("json")) {
    const { developer, tenantId: tenant, expiresAt: expires_at, isOperator } = found;
    const by = credentialWords(token).startsWith("API key") ? "api-key" : "identity-token";
    const who = isOperator
      ? { operator: developer }
      : { developer, role: roleWord(found.role), tenant };
    output.json({ ...who, by, expires_at, config: path });
    return;
  }
  const who: [string, string][] = found.isOperator
    ? [["operator", found.developer]]
    : [
        ["developer", found.developer],
        ["role", roleWord(found.role)],
        ["tenant", found.tenantId],
      ];
  const rows: [string, string][] = [
    ...who,
    ["by", `${credentialWords(token)}, ${endWords(found, clock.now())}`],
    ["kept in", path ?? ""],
  ];
  for (const [name, text] of rows) output.line(`${`${name}:`.padEnd(11)}${printable(text)}`);
};
