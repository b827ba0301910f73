import type { VmServiceService } from "../../../gen/murmur/catalog/v1/vms";
import { type Clock, systemClock } from "../../../lib/clock";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { KeySet } from "../../../lib/identity/key-set";
import type { SigningKey } from "../../../lib/identity/signing-key";
import { createTrust } from "../vms/trust";
import type { VmStore } from "../vms/vm-store";
import { createVmTokenIssuer } from "../vms/vm-tokens";
import { issueJoinToken } from "./issue-join-token";
import { joinVm } from "./join-vm";
import { listRemovedVms } from "./list-removed-vms";
import { listVms } from "./list-vms";
import { removeVm } from "./remove-vm";
import { renewVmToken } from "./renew-vm-token";

export interface VmServiceDeps {
  store: VmStore;
  /** Signs VM tokens and trust bundles; the same as the delivery service's. */
  signingKey: SigningKey;
  keySet: KeySet;
  clock?: Clock;
}

/** The handlers of VmService. */
export function createVmService(deps: VmServiceDeps): HandlersOf<typeof VmServiceService> {
  const { store, signingKey, keySet, clock = systemClock } = deps;
  const trust = createTrust(signingKey, keySet);
  const issueToken = createVmTokenIssuer(signingKey, clock);
  return {
    issueJoinToken: issueJoinToken({ store, trust }),
    joinVm: joinVm({ store, trust, issueToken }),
    renewVmToken: renewVmToken({ store, trust, issueToken, clock }),
    listVms: listVms({ store }),
    removeVm: removeVm({ store }),
    listRemovedVms: listRemovedVms({ store }),
  };
}
