import type { FieldViolation } from "../../../lib/errors";
import { dnsLabelFault } from "../../../lib/dns-label";
import { quoted } from "../../../lib/quoted";
import { countFault, descriptionFault } from "./secret";
import { isSecretName } from "./secret-name";

const MAX_SECRET_REFS = 1000;
const MAX_VMS = 1000;

/** A named group of agents that share a choice of secrets and machines. */
export interface Workspace {
  name: string;
  description: string | undefined;
  /** Undefined: all tenant secrets; empty: none. Sorted. */
  secretRefs: readonly string[] | undefined;
  /** Names of VMs in order of preference; empty: the tenant's only VM. */
  vms: readonly string[];
  revision: bigint;
  createdAt: Date;
  updatedAt: Date;
  updatedBy: string;
}

/** A workspace as a caller wants it to be. */
export interface WorkspaceWrite {
  name: string;
  description: string | undefined;
  secretRefs: readonly string[] | undefined;
  vms: readonly string[];
  /** 0 means "does not exist". */
  expectedRevision: bigint | undefined;
}

/** Everything that is wrong with a write; the first gives the message. */
export function workspaceFaults(write: WorkspaceWrite): FieldViolation[] {
  const { name, description, secretRefs = [], vms, expectedRevision } = write;
  const faults: [string, string | undefined][] = [
    ["name", dnsLabelFault("workspace", name)],
    ["description", descriptionFault(description)],
    ["secret_refs.names", tooMany("secret_refs.names", secretRefs.length, MAX_SECRET_REFS)],
    ...secretRefs.map((ref, index): [string, string | undefined] => [
      `secret_refs.names[${index}]`,
      isSecretName(ref) ? undefined : `secret name ${quoted(ref)} must match [A-Z][A-Z0-9_]*`,
    ]),
    ["vms", tooMany("vms", vms.length, MAX_VMS)],
    ...vms.map((vm, index): [string, string | undefined] => [
      `vms[${index}]`,
      dnsLabelFault("VM", vm),
    ]),
    ["expected_revision", countFault("expected_revision", expectedRevision)],
  ];
  return faults.flatMap(([field, text]) =>
    text === undefined ? [] : [{ field, description: text }],
  );
}

function tooMany(field: string, count: number, max: number): string | undefined {
  return count > max ? `${field} holds ${count} names, over the limit of ${max}` : undefined;
}
