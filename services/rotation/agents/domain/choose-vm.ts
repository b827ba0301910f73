import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { quoted } from "../../../../lib/quoted";
import { failedPrecondition, notFound, type AppError } from "../../../../lib/errors";

/** A VM that an agent may be placed on. */
export interface CandidateVm {
  vmId: string;
  name: string;
}

/**
 * The VMs that an agent of a workspace may go to when none was named: those of the workspace, else
 * the tenant's only one. Throws VM_AMBIGUOUS, listing them, when there is nothing to choose by.
 */
export function candidateVms(
  workspace: { name: string; vms: readonly string[] },
  registered: readonly CandidateVm[],
): CandidateVm[] {
  if (workspace.vms.length === 0) {
    if (registered.length === 1) return [...registered];
    throw registered.length === 0 ? noVm() : severalVms(registered);
  }
  const found = registered.filter(({ name }) => workspace.vms.includes(name));
  if (found.length > 0) return found;
  const names = [...workspace.vms].sort();
  const message = `none of the VMs of workspace "${workspace.name}" has joined: ${names.join(", ")}`;
  throw ambiguous(message, names);
}

/** The VM with the fewest living agents; of equals the first by name, so that a repeat agrees. */
export function leastBusy(
  candidates: readonly CandidateVm[],
  living: ReadonlyMap<string, number>,
): CandidateVm {
  const load = (vm: CandidateVm) => living.get(vm.vmId) ?? 0;
  const [first] = [...candidates].sort((a, b) => load(a) - load(b) || (a.name < b.name ? -1 : 1));
  if (!first) throw noVm();
  return first;
}

/** For what is on one VM already, which only the caller can know. Throws VM_AMBIGUOUS. */
export function onlyOne(candidates: readonly CandidateVm[]): CandidateVm {
  const [first, ...others] = candidates;
  if (!first) throw noVm();
  if (others.length > 0) throw severalVms(candidates);
  return first;
}

export function vmNotFound(name: string): AppError {
  const message = `no VM ${quoted(name)}`;
  return notFound(ErrorReason.ERROR_REASON_VM_NOT_FOUND, message, { vm: name });
}

function severalVms(registered: readonly CandidateVm[]): AppError {
  const names = registered.map(({ name }) => name).sort();
  return ambiguous(`several VMs to choose from, name one: ${names.join(", ")}`, names);
}

function noVm(): AppError {
  return ambiguous("no VM has joined yet: issue a join token for one", []);
}

function ambiguous(message: string, names: readonly string[]): AppError {
  return failedPrecondition(ErrorReason.ERROR_REASON_VM_AMBIGUOUS, message, {
    vms: names.join(","),
  });
}
