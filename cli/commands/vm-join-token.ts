import { type Run } from "../command";
import { relativeTime } from "../output/relative-time";
import { patient } from "../patient";

export const run: Run = async ({ catalog, clock, output }, call) => {
  const name = call.arg("name");
  const { vms } = await catalog();
  const { joinToken, expiresAt } = await patient(() => vms.issueJoinToken({ name }));
  if (call.flag("json")) {
    output.json({ name, join_token: joinToken, expires_at: expiresAt });
    return;
  }
  output.line(joinToken);
  output.note(`Works once, for VM "${name}"; expires ${relativeTime(expiresAt, clock.now())}.`);
  output.note("Put it in a file on the machine and name that in MURMUR_JOIN_TOKEN_FILE.");
};
