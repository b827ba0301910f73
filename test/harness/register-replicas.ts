import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { createLog } from "../../lib/log";
import { createTestDatabase, type TestDatabase } from "./postgres";
import {
  createMemoryTenantKeys,
  createRegisterKeys,
  startTestRegister,
  type RegisterKeys,
  type TestRegister,
} from "../../services/catalog/vms/test-register";

/** What every refused join is told, whatever is wrong with its token. */
export const REFUSED_JOIN = {
  code: "PERMISSION_DENIED",
  reason: ErrorReason.ERROR_REASON_JOIN_TOKEN_REFUSED,
  message: "join token was used, has expired, or never was",
};

/** Two replicas of one register, on a database of their own. */
export interface RegisterReplicas {
  database: TestDatabase;
  keys: RegisterKeys;
  register: TestRegister;
  other: TestRegister;
  /** What the first of them has logged. */
  logged: readonly Record<string, unknown>[];
  /** A join token, from the first of them; of the tenant `acme` unless named. */
  issue(name: string, tenantId?: string): Promise<string>;
  /** Rows of the audit in their order. */
  audited(action: string, outcome: string): Promise<AuditedRow[]>;
  stop(): Promise<void>;
}

interface AuditedRow {
  tenant_id: string;
  object_id: string;
  detail: object;
  peer: string;
}

/** Starts both in this process; `stop` them in `afterAll`. */
export async function startRegisterReplicas(): Promise<RegisterReplicas> {
  const keys = { ...createRegisterKeys(), tenantKeys: createMemoryTenantKeys() };
  const logged: Record<string, unknown>[] = [];
  const write = (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>);
  const log = createLog("catalog", "info", { write });
  const database = await createTestDatabase("catalog");
  const { pool } = database;
  const register = await startTestRegister({ pool, keys, log });
  const other = await startTestRegister({ pool, keys });
  return {
    ...{ database, keys, register, other, logged },
    async issue(name, tenantId = "acme") {
      return (await (await register.developer(tenantId)).vms.issueJoinToken({ name })).joinToken;
    },
    async audited(action, outcome) {
      const { rows } = await pool.query<AuditedRow>(
        `select tenant_id, object_id, detail, peer from catalog.audit
         where action = $1 and outcome = $2 order by id`,
        [action, outcome],
      );
      return rows;
    },
    async stop() {
      await register.stop();
      await other.stop();
      await database.drop();
    },
  };
}
