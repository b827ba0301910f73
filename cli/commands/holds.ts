import {
  type Agent,
  type HeldVersion,
  HeldScope,
  type Holder,
} from "../../gen/murmur/rotation/v1/agents";
import { allPages } from "../all-pages";
import { type Run } from "../command";
import { UsageError } from "../errors";
import { parseSecretVersion } from "../input/secret-version";
import { table } from "../output/table";

/** One thing that has the secret: the files of an agent, or one of its processes. */
interface Row {
  agent: Agent | undefined;
  what: string;
  held: HeldVersion | undefined;
}

export const run: Run = async (context, call) => {
  const { output } = context;
  const text = call.text("secret");
  if (text === undefined)
    throw new UsageError("name a secret: --secret NAME or --secret NAME@VERSION");
  const { name: secretName, version } = parseSecretVersion("--secret", text);
  const { agents } = await context.rotation();
  const wish = { secretName, version: version ?? 0n, workspace: call.text("workspace") ?? "" };
  const holders = await allPages(
    (page) => agents.listHolders({ ...wish, ...page }),
    (page) => page.holders,
  );
  if (call.flag("json")) {
    output.json(holders.map(toJson));
    return;
  }
  if (holders.length === 0) {
    output.note(`no living agent has ${text}`);
    return;
  }
  output.lines(holderTable(holders.flatMap(toRows), output.style.bold));
};

function toRows({ agent, files, coming, processes }: Holder): Row[] {
  return [
    ...(files ? [{ agent, what: "files", held: files }] : []),
    ...coming.map((held) => ({ agent, what: "on its way", held })),
    ...processes.map(({ pid, name, held }) => ({ agent, what: `${pid} ${name}`, held })),
  ];
}

function holderTable(rows: readonly Row[], paintTitle: (text: string) => string): string[] {
  return table(
    rows,
    [
      { title: "WORKSPACE", text: ({ agent }) => agent?.workspace ?? "" },
      { title: "AGENT", text: ({ agent }) => agent?.path ?? "" },
      { title: "VM", text: ({ agent }) => agent?.vmName ?? "" },
      { title: "WHERE", text: ({ what }) => what },
      { title: "GENERATION", text: ({ held }) => orUnknown(held?.generation, "?") },
      { title: "VERSION", text: ({ held }) => orUnknown(held?.version, "cannot be told") },
    ],
    paintTitle,
  );
}

function orUnknown(count: bigint | undefined, unknown: string): string {
  return count ? String(count) : unknown;
}

const SCOPES: Partial<Record<HeldScope, string>> = {
  [HeldScope.HELD_SCOPE_TENANT]: "tenant",
  [HeldScope.HELD_SCOPE_DEVELOPER]: "developer",
  [HeldScope.HELD_SCOPE_SPAWN]: "spawn",
};

/** What cannot be told is null. */
function toJson({ agent, files, coming, processes }: Holder) {
  return {
    agent_id: agent?.agentId,
    workspace: agent?.workspace,
    path: agent?.path,
    vm: agent?.vmName,
    files: files ? heldToJson(files) : null,
    coming: coming.map(heldToJson),
    processes: processes.map(({ pid, name, held }) => ({
      ...{ pid, name },
      ...(held && heldToJson(held)),
    })),
  };
}

function heldToJson({ generation, version, scope }: HeldVersion) {
  return {
    generation: generation || null,
    version: version || null,
    scope: SCOPES[scope] ?? null,
  };
}
