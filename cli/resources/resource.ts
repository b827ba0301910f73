import { type CommandContext, type Invocation } from "../command";
import { type ResourceReader } from "../input/resource-reader";

/** What `set`, `get` and `rm` do with one kind. No answer of a service holds a value. */
export interface Resource {
  /** Prints the names, one a line; with `-l` a table, with `--json` all that is kept. */
  list(context: CommandContext, call: Invocation): Promise<void>;
  /** What is kept, named as in JSON and YAML; `set` takes it back. */
  get(context: CommandContext, name: string): Promise<object>;
  set(context: CommandContext, name: string, read: ResourceReader): Promise<void>;
  remove(context: CommandContext, name: string): Promise<void>;
}
