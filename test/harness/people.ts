import type { Role as RoleName } from "../../lib/identity/principal";
import { issueDeveloperToken } from "../../lib/identity/claims";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { API_KEY } from "./credentials";
import { type Fleet, startFleet } from "./fleet";
import type { RotationClients } from "./rotation";

/** Rotation, and tenants with people in them. */
export interface PeopleRig {
  readonly fleet: Fleet;
  /** Of the test that runs: each has a tenant of its own. */
  readonly tenantId: string;
  /** github/olga, the first who was there. */
  readonly owner: RotationClients;
  /** Goes to another new tenant until the returned function is called. */
  newTenant(): () => void;
  tokenOf: (developer: string, role: RoleName, agoSeconds?: number) => Promise<string>;
  /** With a token that an operator issued a minute ago, or so long ago. */
  withToken: (developer: string, role: RoleName, agoSeconds?: number) => Promise<RotationClients>;
  /** As `withToken`, and has been here. */
  enter: (developer: string, role: RoleName) => Promise<RotationClients>;
  withKey: (value: string) => RotationClients;
  keyOf: (clients: RotationClients, change?: object) => Promise<string>;
  /** Everybody with their role, as somebody sees it. */
  list: (clients?: RotationClients) => Promise<unknown[]>;
}

/** Starts it for the tests of the file that calls this. */
export function usePeople(): PeopleRig {
  const rig = { tenantId: "", tenants: 0 } as PeopleRig & {
    fleet: Fleet;
    tenantId: string;
    owner: RotationClients;
    tenants: number;
  };
  beforeAll(async () => {
    rig.fleet = await startFleet();
  });
  afterAll(() => rig.fleet.stop());
  beforeEach(async () => {
    rig.newTenant();
    rig.owner = await rig.enter("github/olga", "owner");
  });
  const withKey = (value: string) =>
    rig.fleet.rotation.clients(bearerCredentials(sensitive(value)));
  return Object.assign(rig, {
    newTenant() {
      const before = rig.tenantId;
      rig.tenantId = `people-${++rig.tenants}`;
      return () => void (rig.tenantId = before);
    },
    tokenOf(developer: string, role: RoleName, agoSeconds = 60) {
      const firstIssuedAt = Math.floor(Date.now() / 1000) - agoSeconds;
      return issueDeveloperToken(rig.fleet.catalog.rotationKey, {
        ...{ tenantId: rig.tenantId, developer, role, ttlSeconds: 3600, firstIssuedAt },
      });
    },
    withToken: async (developer: string, role: RoleName, agoSeconds = 60) =>
      withKey(await rig.tokenOf(developer, role, agoSeconds)),
    async enter(developer: string, role: RoleName) {
      const clients = await rig.withToken(developer, role);
      await clients.identity.getIdentity({});
      return clients;
    },
    withKey,
    keyOf: async (clients: RotationClients, change = {}) =>
      (await clients.credentials.createCredential({ ...API_KEY, ...change })).value,
    list: async (clients = rig.owner) =>
      (await clients.people.listPeople({ pageSize: 0, pageToken: "" })).people.map(
        ({ developer, role }) => [developer, role],
      ),
  });
}

/** The role that a service takes somebody for. */
export async function roleOf({ identity }: RotationClients) {
  return (await identity.getIdentity({})).role;
}
