import { AuditServiceService } from "../../../gen/murmur/audit/v1/audit";
import { type BackendName, BACKENDS } from "../upstream/backends";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "audit";
const WHOSE =
  "Of the caller's tenant; with an operator's token, of the installation itself. Each service has a chain of its own.";

/** What was done and refused, by whom: the records, and by what anybody can check them. */
export function auditRoutes(kit: RouteKit): Route[] {
  return BACKENDS.flatMap((backend) => routesOf(kit, backend));
}

function routesOf({ rpc }: RouteKit, backend: BackendName): Route[] {
  const path = `/v1/audit/${backend}`;
  const capital = `${backend.charAt(0).toUpperCase()}${backend.slice(1)}`;
  const one = { method: "GET", tag, backend, description: WHOSE } as const;
  return [
    rpc({
      ...{ ...one, path: `${path}/records`, operationId: `list${capital}AuditRecords` },
      summary: `List what ${backend} recorded, newest first`,
      rpc: AuditServiceService.listAuditRecords,
    }),
    rpc({
      ...{ ...one, path: `${path}/links`, operationId: `list${capital}AuditLinks` },
      summary: `List the links of ${backend}'s chain, each with its record`,
      rpc: AuditServiceService.listAuditLinks,
    }),
    rpc({
      ...{ ...one, path: `${path}/unsealed`, operationId: `list${capital}UnsealedAuditRecords` },
      summary: `List the records of ${backend} that no link seals yet`,
      rpc: AuditServiceService.listUnsealedAuditRecords,
    }),
    rpc({
      ...{ ...one, path: `${path}/checkpoints`, operationId: `list${capital}AuditCheckpoints` },
      summary: `List the signed states of ${backend}'s chain`,
      rpc: AuditServiceService.listAuditCheckpoints,
    }),
    rpc({
      ...{ ...one, path: `${path}/keys`, operationId: `list${capital}AuditKeys` },
      summary: `List the public keys by which ${backend}'s checkpoints are signed`,
      rpc: AuditServiceService.listAuditKeys,
    }),
  ];
}
