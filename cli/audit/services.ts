import { type AuditServiceService } from "../../gen/murmur/audit/v1/audit";
import { type CommandContext, type Invocation } from "../command";
import { UsageError } from "../errors";
import { type LightClientOf } from "../grpc/light-client";

export const AUDITED = ["catalog", "rotation"] as const;

/** A service with an audit of its own. */
export interface AuditedService {
  service: (typeof AUDITED)[number];
  audit: LightClientOf<typeof AuditServiceService>;
}

/** Those that `--service` names, or all. Throws UsageError for another. */
export async function auditedServices(
  context: CommandContext,
  call: Invocation,
): Promise<AuditedService[]> {
  const named = call.text("service");
  const chosen = AUDITED.filter((service) => named === undefined || service === named);
  if (chosen.length === 0) throw new UsageError(`--service must be one of ${AUDITED.join(", ")}`);
  return Promise.all(
    chosen.map(async (service) => ({ service, audit: (await context[service]()).audit })),
  );
}
