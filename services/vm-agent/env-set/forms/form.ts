import { type ByteWriter } from "../byte-writer";
import { type Entry, type FormName, type Omission } from "../env-set";

/** What every form is made from: one generation's whole environment, opened. */
export interface FormInput {
  agentId: string;
  generation: bigint;
  /** Sorted by name; each value is UTF-8 without NUL. */
  entries: readonly Entry[];
  /** Sorted; none of them among the entries. */
  unset: readonly string[];
  /** What each form of this generation leaves out. */
  omitted: readonly Omission[];
}

/** One dialect: what it cannot carry, and how it writes what it can. */
export interface Form {
  name: FormName;
  /** Why the form cannot carry this entry, or undefined. The reason shows nothing of the value. */
  refusal(entry: Entry): string | undefined;
  write(writer: ByteWriter, input: FormInput): void;
}

/** The head of the line-based forms: whose it is, and a comment for each name left out. */
export function writeHeading(writer: ByteWriter, input: FormInput, own: FormName): void {
  writer.text(`# murmur: agent ${input.agentId}, generation ${input.generation.toString()}\n`);
  for (const { form, name, reason } of input.omitted) {
    if (form === own) writer.text(`# omitted ${name}: ${reason}\n`);
  }
}

/**
 * Names that a shell gives a meaning of its own: read-only in bash (`export UID=` ends a POSIX
 * shell), computed at each read, or parsed as numbers. No sourced line can carry a value in them.
 */
const SHELL_OWNED: ReadonlySet<string> = new Set(
  (
    "BASHOPTS BASHPID DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD IFS " +
    "LINENO OLDPWD OPTARG OPTIND PIPESTATUS PPID PWD RANDOM SECONDS SHELLOPTS SRANDOM UID"
  ).split(" "),
);

/** Why a sourced file cannot carry `name`, or undefined. */
export function shellRefusal(name: string): string | undefined {
  const isOwned = SHELL_OWNED.has(name) || name.startsWith("BASH_");
  return isOwned ? "shells give this name a meaning of their own" : undefined;
}
