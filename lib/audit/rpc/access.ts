import { AuditServiceService } from "../../../gen/murmur/audit/v1/audit";
import type { AccessTable } from "../../grpc/access";

/** Who may read the audit, in each service that has one. */
export const AUDIT_ACCESS: AccessTable = {
  [AuditServiceService.listAuditRecords.path]: { developer: "admin" },
  [AuditServiceService.listAuditLinks.path]: { developer: "admin" },
  [AuditServiceService.listUnsealedAuditRecords.path]: { developer: "admin" },
  [AuditServiceService.listAuditCheckpoints.path]: { developer: "admin" },
  [AuditServiceService.listAuditKeys.path]: { developer: "admin" },
};
