import type { Clock } from "../../../lib/clock";
import { createEndedTenants, type EndedTenants } from "../../../lib/identity/ended-tenants";
import type { Pool } from "../../../lib/postgres/db";
import type { PersonStore } from "../people/store/person-store";
import { createEndedVms, type EndedVms } from "./ended-vms";
import { createDeletions, type Deletions, type LeadDeletionsDeps } from "./lead-deletions";
import { createTenantService } from "./rpc/tenant-service";
import { postgresDeletionStore } from "./store/postgres-deletion-store";

type OwnDeps = "pool" | "deletions" | "endedVms" | "clock";

/** The end of tenants. */
export interface Tenants {
  /** Those of which nobody is let in. */
  ended: EndedTenants;
  vms: EndedVms;
  /** What is to be served and run, when what gives running agents their environments is there. */
  serve(running: Omit<LeadDeletionsDeps, OwnDeps>): {
    service: ReturnType<typeof createTenantService>;
    deletions: Deletions;
  };
}

export function createTenants(own: { pool: Pool; people: PersonStore; clock: Clock }): Tenants {
  const { pool, clock } = own;
  const deletions = postgresDeletionStore;
  const ended = createEndedTenants({ db: pool, schema: "rotation", clock });
  const vms = createEndedVms({ db: pool, ended, deletions });
  return {
    ended,
    vms,
    serve(running) {
      const deps = { ...running, ...own, deletions, endedVms: vms };
      return { service: createTenantService(deps), deletions: createDeletions(deps) };
    },
  };
}
