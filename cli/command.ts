import { type Clock } from "../lib/clock";
import { type LocalConfig } from "./config/local-config";
import { type Catalog } from "./connect-catalog";
import { type Rotation } from "./connect-rotation";
import { type Output } from "./output/output";
import { type Terminal } from "./terminal";

/** What stands for an argument when it is completed in a shell. */
export type Candidates =
  | ("agent" | "registered-agent" | "secret" | "workspace" | "vm" | "rollout" | "file" | "command")
  /** What there is of the kind that the argument before names. */
  | "resource"
  | readonly string[];

export interface ArgumentSyntax {
  name: string;
  isOptional?: boolean;
  /** Takes all that follows. */
  isRest?: boolean;
  candidates?: Candidates;
}

export interface OptionSyntax {
  /** `-e, --env <NAME=VALUE>`, as commander reads it. */
  flags: string;
  description: string;
  /** May be given several times. */
  isList?: boolean;
  candidates?: Candidates;
}

/** What can be typed: one command, its arguments and options, and how it is used. */
export interface CommandSyntax {
  /** `["secret", "set"]`. */
  path: readonly string[];
  args: readonly ArgumentSyntax[];
  options: readonly OptionSyntax[];
  summary: string;
  /** What the summary leaves open; paragraphs. */
  details?: readonly string[];
  examples: readonly [string, ...string[]];
  /** Its code, loaded when it is called. */
  load: () => Promise<{ run: Run }>;
}

/** Does what was typed; throws UsageError, LocalError, or the AppError of a service. */
export type Run = (context: CommandContext, call: Invocation) => Promise<void>;

/** What was typed for one command, checked against its syntax. */
export interface Invocation {
  /** The argument; "" for one that was left out. */
  arg(name: string): string;
  /** What the last argument took. */
  rest: readonly string[];
  text(option: string): string | undefined;
  flag(option: string): boolean;
  list(option: string): readonly string[];
}

/** What commands share; whatever is opened here is closed when the command is over. */
export interface CommandContext {
  terminal: Terminal;
  output: Output;
  clock: Clock;
  config: () => Promise<LocalConfig>;
  /** The workspace by flag or file; throws UsageError when none is named. */
  requireWorkspace: (flag: string | undefined) => Promise<string>;
  /** As above, or undefined. */
  findWorkspace: (flag: string | undefined) => Promise<string | undefined>;
  /** Throws UNAUTHENTICATED when there is no configuration at all. */
  catalog: () => Promise<Catalog>;
  rotation: () => Promise<Rotation>;
}
