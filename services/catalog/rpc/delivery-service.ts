import type { DeliveryServiceService } from "../../../gen/murmur/catalog/v1/delivery";
import { type Clock, systemClock } from "../../../lib/clock";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { SigningKey } from "../../../lib/identity/signing-key";
import { createDeliverySessions } from "../domain/delivery-session";
import type { EnvironmentOpener } from "../environments/environment-opener";
import type { VmStore } from "../vms/vm-store";
import { fetchEnvironments } from "./fetch-environments";
import { openDeliverySession } from "./open-delivery-session";

export interface DeliveryServiceDeps {
  store: Pick<VmStore, "findKey" | "hasRights">;
  environments: EnvironmentOpener;
  signingKey: SigningKey;
  clock?: Clock;
}

/** The handlers of DeliveryService, with the sessions of this replica. */
export function createDeliveryService(
  deps: DeliveryServiceDeps,
): HandlersOf<typeof DeliveryServiceService> {
  const { store, environments, signingKey, clock = systemClock } = deps;
  const sessions = createDeliverySessions(clock);
  return {
    openDeliverySession: openDeliverySession({ store, sessions, signingKey }),
    fetchEnvironments: fetchEnvironments({ store, sessions, environments }),
  };
}
