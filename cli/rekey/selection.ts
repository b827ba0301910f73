import { type RolloutSelection } from "../../gen/murmur/rotation/v1/rollouts";
import { type CommandContext, type Invocation } from "../command";
import { UsageError } from "../errors";

/** Whom to rekey, and the words for it. */
export interface Selection {
  selection: RolloutSelection;
  /** `fix-auth`, `--secret API_KEY`, `--all`. */
  what: string;
}

/**
 * Reads the slug, `--secret` and `--all`, of which there must be one. A secret's holders are those of
 * every workspace unless one is named. Throws UsageError.
 */
export async function readSelection(context: CommandContext, call: Invocation): Promise<Selection> {
  const path = call.arg("slug");
  const secret = call.text("secret");
  const all = call.flag("all");
  if ([path !== "", secret !== undefined, all].filter(Boolean).length !== 1)
    throw new UsageError("name one of: an agent, --secret NAME, --all");
  const flag = call.text("workspace");
  if (secret !== undefined)
    return {
      selection: { workspace: flag ?? "", which: { $case: "secretName", value: secret } },
      what: `--secret ${secret}`,
    };
  const workspace = await context.requireWorkspace(flag);
  return all
    ? { selection: { workspace, which: { $case: "all", value: true } }, what: "--all" }
    : { selection: { workspace, which: { $case: "path", value: path } }, what: path };
}
