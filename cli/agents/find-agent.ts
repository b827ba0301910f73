import { AgentsOf, type BoundAgent } from "../../gen/murmur/rotation/v1/bindings";
import { allPages } from "../all-pages";
import { type Invocation } from "../command";
import { type Rotation } from "../connect-rotation";
import { LocalError, UsageError } from "../errors";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { looksLikeKey } from "./provider-key";

type Bindings = Pick<Rotation, "bindings">;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The agent that `[name]` and `--agent-id` mean. Its name is part of what is hashed, so it is looked up
 * and never guessed: without either, it is the account's only unnamed one.
 */
export async function findAgent(rotation: Bindings, call: Invocation): Promise<BoundAgent> {
  const [name, id] = [call.arg("name"), call.text("agent-id")];
  if (name !== "" && id !== undefined)
    throw new UsageError("a name and --agent-id exclude each other");
  return id === undefined ? findOwn(rotation, name) : getAgent(rotation, id);
}

/** The agent of an id, or the caller's own of a name. */
export async function findByEither(rotation: Bindings, text: string): Promise<BoundAgent> {
  return UUID.test(text) ? getAgent(rotation, text) : findOwn(rotation, text);
}

/** Throws UsageError for what is no id, without showing it, and the service's error for another's. */
export async function getAgent({ bindings }: Bindings, agentId: string): Promise<BoundAgent> {
  if (!UUID.test(agentId))
    throw new UsageError(
      "an agent's id is wanted, as murmur agents ls shows it",
      "A key is never typed as an argument: it is asked for.",
    );
  return requireAgent(await patient(() => bindings.getBoundAgent({ agentId })));
}

/** What an answer has to bring. */
export function requireAgent({ agent }: { agent?: BoundAgent | undefined }): BoundAgent {
  if (!agent) throw new Error("the service answered without an agent");
  return agent;
}

/** How an agent is called in sentences. */
export function agentWords({ name, agentId }: BoundAgent): string {
  return name === "" ? `agent ${agentId}` : `agent ${printable(name)}`;
}

async function findOwn({ bindings }: Bindings, name: string): Promise<BoundAgent> {
  if (looksLikeKey(name))
    throw new UsageError(
      "a key stands where an agent's name belongs",
      "A key is never typed as an argument: it is asked for. Take it out of your shell's history.",
    );
  const ownNamed = (named: string | undefined) =>
    allPages(
      (page) =>
        bindings.listBoundAgents({
          ...{ agentsOf: AgentsOf.AGENTS_OF_UNSPECIFIED, name: named, ...page },
          includeDeactivated: false,
        }),
      (page) => page.agents,
      MAX_CHOICES,
    );
  const found = await ownNamed(name);
  if (found.length === 1 && found[0]) return found[0];
  const isMany = found.length > 0;
  throw notOne(name, { isMany, choices: isMany ? found : await ownNamed(undefined) });
}

function notOne(
  name: string,
  { isMany, choices }: { isMany: boolean; choices: readonly BoundAgent[] },
): Error {
  if (name !== "" && !isMany)
    return new LocalError(
      `none of your agents is named "${printable(name)}"`,
      choices.length === 0 ? NO_AGENTS : `Yours are:\n${choiceLines(choices)}`,
    );
  const what = name === "" ? "are unnamed" : `are named "${printable(name)}"`;
  if (isMany)
    return new UsageError(
      `several of your agents ${what}`,
      `Name one with --agent-id:\n${choiceLines(choices)}`,
    );
  return new UsageError(
    "none of your agents is unnamed",
    choices.length === 0 ? NO_AGENTS : `Name one of yours:\n${choiceLines(choices)}`,
  );
}

/** More are not read on an error. */
const MAX_CHOICES = 50;
const NO_AGENTS =
  "You have none. Use murmur agents ls --unclaimed to see those that you can claim.";

function choiceLines(agents: readonly BoundAgent[]): string {
  return agents
    .map(({ agentId, name, keyPrefix }) => {
      const words = [name || "(unnamed)", keyPrefix === "" ? "" : `${keyPrefix}…`];
      return `  ${agentId}  ${printable(words.filter(Boolean).join("  "))}`;
    })
    .join("\n");
}
