import { randomBytes } from "node:crypto";
import { sensitive } from "../../../lib/sensitive";
import type { OpenedEnvironment, OpenOutcome, OpenRefusal } from "../domain/environment";
import type { EnvironmentHandle, EnvironmentOpener } from "../environments/environment-opener";

export interface TestEnvironment {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
  variables?: { name: string; value: Buffer; asFile?: boolean }[];
  unsetNames?: string[];
  floor?: bigint;
  refusal?: OpenRefusal;
}

/** Generations in memory, bound to VMs as the catalog's are. */
export function createTestEnvironments() {
  const stored: TestEnvironment[] = [];
  const opener: EnvironmentOpener = {
    find: (tenantId, vmId, refs) =>
      Promise.resolve(
        refs.map(({ agentId, generation }): EnvironmentHandle => {
          const found = stored.find(
            (each) =>
              each.tenantId === tenantId &&
              each.vmId === vmId &&
              each.agentId === agentId &&
              each.generation === generation &&
              generation >= (each.floor ?? 0n),
          );
          return {
            agentId,
            generation,
            sizeBytes: sizeOf(found),
            open: () => Promise.resolve(outcomeOf(found)),
          };
        }),
      ),
  };
  return {
    opener,
    add: (environment: TestEnvironment) => {
      stored.push(environment);
    },
  };
}

function sizeOf(environment: TestEnvironment | undefined): number {
  const variables = environment?.variables ?? [];
  return variables.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
}

function outcomeOf(found: TestEnvironment | undefined): OpenOutcome {
  if (!found) return { kind: "refused", refusal: "not-available" };
  if (found.refusal) return { kind: "refused", refusal: found.refusal };
  const environment: OpenedEnvironment = {
    agentId: found.agentId,
    generation: found.generation,
    variables: (found.variables ?? []).map(({ name, value, asFile = false }) => {
      return { name, value: sensitive(value), asFile };
    }),
    unsetNames: found.unsetNames ?? [],
    fingerprintKey: sensitive(randomBytes(32)),
    floor: found.floor ?? 0n,
  };
  return { kind: "opened", environment };
}
