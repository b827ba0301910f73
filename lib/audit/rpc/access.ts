import { AuditServiceService } from "../../../gen/murmur/audit/v1/audit";
import type { AccessTable } from "../../grpc/access";

/** Operators read the installation's own chain: what belongs to no tenant. */
const READERS = { developer: "admin", operator: true } as const;

/** Who may read the audit, in each service that has one. */
export const AUDIT_ACCESS: AccessTable = {
  [AuditServiceService.listAuditRecords.path]: READERS,
  [AuditServiceService.listAuditLinks.path]: READERS,
  [AuditServiceService.listUnsealedAuditRecords.path]: READERS,
  [AuditServiceService.listAuditCheckpoints.path]: READERS,
  [AuditServiceService.listAuditKeys.path]: READERS,
};
