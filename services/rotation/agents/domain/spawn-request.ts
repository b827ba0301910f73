import { dnsLabelFault } from "../../../../lib/dns-label";
import { invalidFields, type FieldViolation } from "../../../../lib/errors";
import type { AgentSettings } from "../../../../gen/murmur/rotation/v1/agents";
import { digestOf } from "./agent";
import { settingsBytes, settingsFaults } from "./agent-settings";

/** A wish for a new agent, checked. */
export interface SpawnRequest {
  agentId: string;
  /** Empty for a child through a VM: it inherits its parent's. */
  workspace: string;
  slug: string;
  /** Empty: choose one. */
  vm: string;
  /** Empty: the root of a new tree. */
  parentAgentId: string;
  /** Empty when a process is adopted instead. */
  command: readonly string[];
  workingDirectory: string;
  /** Whether spawn-time secrets were stored for it. */
  expectsSpawnSecrets: boolean;
  settings?: AgentSettings | undefined;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_ARGUMENTS = 1024;
const MAX_COMMAND_BYTES = 128 * 1024;
const MAX_PATH_BYTES = 4096;
const ADOPT_COMMAND = "command must be empty when a process is adopted";

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Throws INVALID_ARGUMENT that lists every wrong field. */
export function checkSpawnRequest(request: SpawnRequest): SpawnRequest {
  const faults = [
    fault("agent_id", isUuid(request.agentId), "agent_id must be a UUID"),
    request.workspace === "" && request.parentAgentId !== ""
      ? undefined
      : labelFault("workspace", request.workspace),
    labelFault("slug", request.slug),
    request.vm === "" ? undefined : labelFault("vm", request.vm),
    request.parentAgentId === ""
      ? undefined
      : fault("parent_agent_id", isUuid(request.parentAgentId), "parent_agent_id must be a UUID"),
    request.settings?.adopt
      ? fault("command", request.command.length === 0, ADOPT_COMMAND)
      : commandFault(request.command),
    directoryFault(request.workingDirectory),
    ...settingsFaults(request.settings),
  ].filter((it) => it !== undefined);
  if (faults.length > 0) throw invalidFields(faults);
  return {
    ...request,
    agentId: request.agentId.toLowerCase(),
    parentAgentId: request.parentAgentId.toLowerCase(),
  };
}

/** What makes a repeated spawn the same one. */
export function spawnHash(request: SpawnRequest): Buffer {
  const { workspace, slug, vm, parentAgentId, workingDirectory, command } = request;
  const expects = String(request.expectsSpawnSecrets);
  const place = [workspace, slug, vm, parentAgentId, workingDirectory];
  return digestOf(...place, expects, settingsBytes(request.settings), ...command);
}

function labelFault(field: string, text: string): FieldViolation | undefined {
  const description = dnsLabelFault(field, text);
  return description === undefined ? undefined : { field, description };
}

function fault(field: string, isGood: boolean, description: string): FieldViolation | undefined {
  return isGood ? undefined : { field, description };
}

function commandFault(command: readonly string[]): FieldViolation | undefined {
  const bytes = command.reduce((sum, part) => sum + Buffer.byteLength(part) + 1, 0);
  const isGood =
    command.length >= 1 &&
    command.length <= MAX_ARGUMENTS &&
    bytes <= MAX_COMMAND_BYTES &&
    command[0] !== "" &&
    !command.some((part) => part.includes("\0"));
  if (command[0]?.startsWith("-"))
    return { field: "command", description: "command must not begin with an option" };
  return fault(
    "command",
    isGood,
    `command must be a program and its arguments: 1 to ${MAX_ARGUMENTS} of them without NUL, 128 KiB together`,
  );
}

function directoryFault(path: string): FieldViolation | undefined {
  const isGood =
    path === "" ||
    (path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= MAX_PATH_BYTES);
  return fault(
    "working_directory",
    isGood,
    `working_directory must be an absolute path of at most ${MAX_PATH_BYTES} bytes`,
  );
}
