import { type Environment } from "../../lib/config";
import { LocalError } from "../errors";

/** Where this VM's daemon listens; agents have it in their environment. Throws LocalError. */
export function socketPath(env: Environment): string {
  const path = env["MURMUR_SOCKET"];
  if (!path) throw new LocalError("MURMUR_SOCKET is not set, so the VM's daemon cannot be asked");
  return path;
}
