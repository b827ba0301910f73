import { type Environment } from "../lib/config";

/** The surroundings of one invocation; main.ts takes them from the process. */
export interface Terminal {
  env: Environment;
  /** Absolute. */
  cwd: string;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  /** Calls the listener on Ctrl-C, which then no longer ends the process, until it is taken back. */
  onInterrupt: (listener: () => void) => { takeBack: () => void };
}
