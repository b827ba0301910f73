import type { PageQuery } from "../../../lib/page";
import type { Caller } from "../audit";
import type { Workspace, WorkspaceWrite } from "../domain/workspace";

export type WorkspaceWriteOutcome =
  | { kind: "written"; workspace: Workspace; missingSecrets: string[] }
  /** The current revision, 0 when there is none, is not the expected one. */
  | { kind: "revision-conflict"; revision: bigint };

export type WorkspaceDeleteOutcome =
  { kind: "deleted" } | { kind: "not-found" } | { kind: "in-use"; agents: bigint };

/** Workspaces. Each write is one statement with its audit row. */
export interface WorkspaceStore {
  write(caller: Caller, write: WorkspaceWrite): Promise<WorkspaceWriteOutcome>;
  /** Refuses while an agent that has not ended lives in it. */
  delete(caller: Caller, name: string): Promise<WorkspaceDeleteOutcome>;
  find(tenantId: string, name: string): Promise<Workspace | undefined>;
  /** By name; one row more than the limit when there are more. */
  list(tenantId: string, query: PageQuery): Promise<Workspace[]>;
}
