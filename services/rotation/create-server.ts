import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import type { Clock } from "../../lib/clock";
import type { CallDeps } from "../../lib/grpc/run-call";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import type { ServerTls } from "../../lib/grpc/tls";
import {
  type AdmitDeveloper,
  createAuthenticator,
  type VerifyKey,
} from "../../lib/identity/authenticate";
import { type EndedTenants, refuseEnded } from "../../lib/identity/ended-tenants";
import type { KeySet } from "../../lib/identity/key-set";
import { createVouchReader } from "../../lib/identity/vouch";
import type { Log } from "../../lib/log";
import { ROTATION_ACCESS } from "./access";

const MAX_TIMEOUT_MS = 30_000;

export interface Callers {
  verifyKey: VerifyKey;
  admit: AdmitDeveloper;
  ended: EndedTenants;
  onRefused: NonNullable<CallDeps["onRefused"]>;
  clock: Clock;
  log: Log;
}

/** Lets in who rotation itself knows: it asks nobody about keys, roles and vouches. */
export function createServer(
  { keySet, tls }: { keySet: KeySet; tls?: ServerTls },
  { verifyKey, admit, ended, onRefused, clock, log }: Callers,
): GrpcServer {
  const who = { keySet, service: "rotation", clock, verifyKey, admit };
  return createGrpcServer({
    authenticate: refuseEnded(createAuthenticator(who), { ended, access: ROTATION_ACCESS }),
    readVouch: createVouchReader({ keySet, service: "rotation", clock }),
    access: ROTATION_ACCESS,
    descriptorSet: DESCRIPTOR_SET,
    log,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    onRefused,
    ...(tls && { tls }),
  });
}
