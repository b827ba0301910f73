import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import {
  conflict,
  failedPrecondition,
  invalidFields,
  notFound,
  type AppError,
} from "../../../lib/errors";
import { isDnsLabel } from "../../../lib/dns-label";
import { readPage, toPage, type Page } from "../../../lib/page";
import { quoted } from "../../../lib/quoted";
import type { Caller } from "../audit";
import { workspaceFaults, type Workspace, type WorkspaceWrite } from "../domain/workspace";
import type { WorkspaceStore } from "../store/workspace-store";

/** What can be done with workspaces. */
export interface Workspaces {
  set(caller: Caller, write: WorkspaceWrite): Promise<{ workspace: Workspace; warnings: string[] }>;
  get(tenantId: string, name: string): Promise<Workspace>;
  list(tenantId: string, page: { pageSize: number; pageToken: string }): Promise<Page<Workspace>>;
  delete(caller: Caller, name: string): Promise<void>;
}

/** Workspaces over a store. */
export function createWorkspaces(store: WorkspaceStore): Workspaces {
  return {
    set: (caller, write) => setWorkspace(store, caller, write),
    async get(tenantId, name) {
      const workspace = isDnsLabel(name) ? await store.find(tenantId, name) : undefined;
      if (!workspace) throw workspaceNotFound(name);
      return workspace;
    },
    async list(tenantId, page) {
      const query = readPage("workspaces", page);
      return toPage("workspaces", await store.list(tenantId, query), query, ({ name }) => name);
    },
    async delete(caller, name) {
      if (!isDnsLabel(name)) throw workspaceNotFound(name);
      const outcome = await store.delete(caller, name);
      if (outcome.kind === "not-found") throw workspaceNotFound(name);
      if (outcome.kind === "in-use") throw workspaceInUse(name, outcome.agents);
    },
  };
}

async function setWorkspace(store: WorkspaceStore, caller: Caller, write: WorkspaceWrite) {
  const faults = workspaceFaults(write);
  if (faults.length > 0) throw invalidFields(faults);
  const outcome = await store.write(caller, {
    ...write,
    secretRefs: write.secretRefs && [...new Set(write.secretRefs)].sort(),
    vms: [...new Set(write.vms)],
  });
  if (outcome.kind === "revision-conflict") throw revisionConflict(write.name, outcome.revision);
  const warnings = outcome.missingSecrets.map(
    (secret) => `secret ${quoted(secret)} in secret_refs does not exist`,
  );
  return { workspace: outcome.workspace, warnings };
}

/** Also what a snapshot for an agent of a workspace that is gone answers. */
export function workspaceNotFound(name: string): AppError {
  const message = `workspace ${quoted(name)} not found`;
  const metadata = { workspace: name.slice(0, 63) };
  return notFound(ErrorReason.ERROR_REASON_WORKSPACE_NOT_FOUND, message, metadata);
}

function revisionConflict(name: string, revision: bigint): AppError {
  const is = revision === 0n ? "does not exist" : `is at revision ${revision}`;
  const message = `workspace ${quoted(name)} ${is}, not at the expected revision`;
  return conflict(ErrorReason.ERROR_REASON_WORKSPACE_CONFLICT, message, { workspace: name });
}

function workspaceInUse(name: string, agents: bigint): AppError {
  const who = agents === 1n ? "1 living agent" : `${agents} living agents`;
  const message = `workspace ${quoted(name)} still has ${who}`;
  const reason = ErrorReason.ERROR_REASON_WORKSPACE_IN_USE;
  return failedPrecondition(reason, message, { workspace: name });
}
