import type { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { TakeSnapshots } from "../environments/snapshots";
import type { SetAgentSecrets, StoreSpawnSecrets } from "../environments/spawn-secrets";
import type { ReleaseStore } from "../store/release-store";
import type { PreviewEnvironments } from "../environments/previews";
import type { PinStore } from "../store/pin-store";
import type { DeliverAhead } from "./deliver-ahead";
import { findPins } from "./find-pins";
import { previewEnvironments } from "./preview-environments";
import { releaseGenerations } from "./release-generations";
import { setAgentSecrets } from "./set-agent-secrets";
import { snapshotEnvironments } from "./snapshot-environments";
import { storeSpawnSecrets } from "./store-spawn-secrets";

export interface EnvironmentServiceDeps {
  takeSnapshots: TakeSnapshots;
  deliverAhead: DeliverAhead;
  storeSpawnSecrets: StoreSpawnSecrets;
  setAgentSecrets: SetAgentSecrets;
  releases: ReleaseStore;
  pins: PinStore;
  preview: PreviewEnvironments;
}

/** The handlers of EnvironmentService. */
export function createEnvironmentService(
  deps: EnvironmentServiceDeps,
): HandlersOf<typeof EnvironmentServiceService> {
  return {
    storeSpawnSecrets: storeSpawnSecrets(deps.storeSpawnSecrets),
    setAgentSecrets: setAgentSecrets(deps.setAgentSecrets),
    snapshotEnvironments: snapshotEnvironments(deps),
    releaseGenerations: releaseGenerations(deps.releases),
    findPins: findPins(deps.pins),
    previewEnvironments: previewEnvironments(deps.preview),
  };
}
