import { unauthenticated } from "../../lib/errors";
import { type Run } from "../command";

export const run: Run = ({ config, output }) => {
  const { token } = config();
  if (!token) throw unauthenticated();
  output.line(token.expose());
  return Promise.resolve();
};
