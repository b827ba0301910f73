import { randomBytes, randomUUID } from "node:crypto";
import { systemClock } from "../../lib/clock";
import { createLog, silentLog } from "../../lib/log";
import { sensitive } from "../../lib/sensitive";
import {
  createTestEnvironments,
  type TestEnvironment,
} from "../../services/catalog/vms/test-environments";
import {
  createMemoryTenantKeys,
  createRegisterKeys,
  joinAs,
  startTestRegister,
  type TestRegister,
} from "../../services/catalog/vms/test-register";
import { createDelivery } from "../../services/vm-agent/delivery/delivery";
import type { DeliveryClient } from "../../services/vm-agent/delivery/delivery-session";
import { createServerClock } from "../../services/vm-agent/identity/server-clock";
import { createTestDatabase, type TestDatabase } from "./postgres";

type TestEnvironments = ReturnType<typeof createTestEnvironments>;

/** A catalog's register with delivery, and machines that have joined it. */
export interface TestDelivery {
  readonly database: TestDatabase;
  readonly register: TestRegister;
  readonly keys: ReturnType<typeof createKeys>;
  readonly environments: TestEnvironments;
  /** What the catalog has logged. */
  readonly logged: readonly string[];
  /** A VM that has joined, and its daemon's way to its sets. */
  createVm(name: string, tenantId?: string, from?: TestRegister): ReturnType<typeof createVm>;
  stop(): Promise<void>;
}

/** A signal that never aborts. */
export const never = new AbortController().signal;

export const variable = (name: string, value: string) => ({ name, value: Buffer.from(value) });

const createKeys = () => ({ ...createRegisterKeys(), tenantKeys: createMemoryTenantKeys() });

export async function startTestDelivery(): Promise<TestDelivery> {
  const database = await createTestDatabase("catalog");
  const keys = createKeys();
  const environments = createTestEnvironments();
  const logged: string[] = [];
  const log = createLog("catalog", "info", { write: (line: string) => logged.push(line) });
  const register = await startTestRegister({
    ...{ pool: database.pool, keys, log },
    environments: environments.opener,
  });
  return {
    ...{ database, register, keys, environments, logged },
    createVm: (name, tenantId = "acme", from = register) =>
      createVm(environments, { name, tenantId, from }),
    async stop() {
      await register.stop();
      await database.drop();
    },
  };
}

async function createVm(
  environments: TestEnvironments,
  { name, tenantId, from }: { name: string; tenantId: string; from: TestRegister },
) {
  const { identity: key, joined, delivery: client } = await joinAs(from, name, tenantId);
  const state = {
    ...{ vmId: joined.vmId, tenantId, name, joinTokenHash: "-" },
    deliveryPublicKeys: joined.trustBundle!.deliveryPublicKeys,
  };
  let refusals = 0;
  const identity = {
    ...{ key, state, clock: createServerClock(systemClock) },
    currentToken: () => Promise.resolve(sensitive(joined.vmToken)),
    refused: () => {
      refusals++;
    },
  };
  const deliveryFrom = (via: DeliveryClient, vmLog = silentLog) =>
    createDelivery({
      ...{ client: via, identity, incarnation: randomBytes(16), log: vmLog },
    });
  const add = (more: Partial<TestEnvironment> = {}) => {
    const bound = { tenantId, vmId: joined.vmId, agentId: randomUUID(), generation: 1n };
    const environment = { ...bound, ...more };
    environments.add(environment);
    return { agentId: environment.agentId, generation: environment.generation };
  };
  const refusalCount = () => refusals;
  return { ...deliveryFrom(client), client, identity, deliveryFrom, add, joined, refusalCount };
}
