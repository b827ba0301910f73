import { type Run } from "../command";

export const run: Run = async ({ rotation, output, clock }, call) => {
  const { selfRotation } = await rotation();
  const { invitation, expiresAt } = await selfRotation.inviteAgent({});
  if (call.flag("json")) {
    output.json({ invitation, expires_at: expiresAt });
    return;
  }
  output.line(invitation);
  const minutes = Math.round(((expiresAt?.getTime() ?? 0) - clock.now().getTime()) / 60_000);
  output.note(`One agent may register with it, once, within ${minutes} minutes.`);
};
