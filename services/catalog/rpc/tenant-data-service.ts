import type { TenantDataServiceService } from "../../../gen/murmur/catalog/v1/tenant_data";
import type { HandlersOf } from "../../../lib/grpc/definition";
import { callerOf } from "../audit";
import type { TenantData } from "../tenants/tenant-data";

/** The handlers of TenantDataService. */
export function createTenantDataService(
  data: TenantData,
): HandlersOf<typeof TenantDataServiceService> {
  return {
    async endTenant(_request, context) {
      await data.end(callerOf(context));
      return {};
    },
    async purgeTenant(_request, context) {
      const { removedRows, done } = await data.purge(callerOf(context));
      return { removedRows: BigInt(removedRows), done };
    },
  };
}
