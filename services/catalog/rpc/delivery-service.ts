import type { DeliveryServiceService } from "../../../gen/murmur/catalog/v1/delivery";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { SigningKey } from "../../../lib/identity/signing-key";
import type { DeliverySessions } from "../domain/delivery-session";
import type { DeliveryRecords } from "../environments/delivery-records";
import type { EnvironmentOpener } from "../environments/environment-opener";
import type { VmStore } from "../vms/vm-store";
import { fetchEnvironments } from "./fetch-environments";
import { openDeliverySession } from "./open-delivery-session";

export interface DeliveryServiceDeps {
  store: Pick<VmStore, "findKey" | "hasRights">;
  environments: EnvironmentOpener;
  deliveries: Pick<DeliveryRecords, "note">;
  signingKey: SigningKey;
  /** Of this replica; the authenticator accepts proofs by them. */
  sessions: DeliverySessions;
}

/** The handlers of DeliveryService. */
export function createDeliveryService(
  deps: DeliveryServiceDeps,
): HandlersOf<typeof DeliveryServiceService> {
  const { store, environments, deliveries, signingKey, sessions } = deps;
  return {
    openDeliverySession: openDeliverySession({ store, sessions, signingKey }),
    fetchEnvironments: fetchEnvironments({ store, sessions, environments, deliveries }),
  };
}
