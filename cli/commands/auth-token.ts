import { unauthenticated } from "../../lib/errors";
import { type Run } from "../command";

export const run: Run = async ({ config, output }) => {
  const { token } = await config();
  if (!token) throw unauthenticated();
  output.line(token.expose());
};
