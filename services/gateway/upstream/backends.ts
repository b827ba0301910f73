import { deadlineExceeded } from "../../../lib/errors";
import type { Clock } from "../../../lib/clock";
import {
  type Channel,
  createClient,
  type Credentials,
  withCredentials,
} from "../../../lib/grpc/client";
import type { MethodDefinition, RequestOf, ResponseOf } from "../../../lib/grpc/definition";
import { checkHealth } from "../../../lib/grpc/health-client";
import { bearerCredentials } from "../../../lib/identity/credentials";
import type { Vouching } from "../../../lib/identity/vouch";
import type { Sensitive } from "../../../lib/sensitive";

export const BACKENDS = ["catalog", "rotation"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** For whom a call is made. */
export interface OnBehalf {
  /** The caller's own credential; the gateway has none that opens anything. */
  bearer: Sensitive<string> | undefined;
  /** Network address of the client. */
  client: string;
  /** What the client asked for, in its one spelling. */
  route: { method: string; path: string };
  /** Aborts when the client goes away, or the gateway stops. */
  signal: AbortSignal;
  /** By the clock's monotonic time. */
  deadlineMs: number;
}

type Unary = MethodDefinition & { requestStream: false; responseStream: false };
type ServerStream = MethodDefinition & { requestStream: false; responseStream: true };

/** The services behind the gateway. */
export interface Backends {
  /**
   * Throws the service's AppError; DEADLINE_EXCEEDED when the time of the request is up. The backend is named
   * for what several of them serve.
   */
  call<M extends Unary>(
    rpc: M,
    request: RequestOf<M>,
    on: OnBehalf,
    backend?: BackendName,
  ): Promise<ResponseOf<M>>;
  /** The stream ends with the deadline, too. */
  stream<M extends ServerStream>(
    rpc: M,
    request: RequestOf<M>,
    on: OnBehalf,
  ): AsyncIterable<ResponseOf<M>>;
  /** Whether a service says that it can do its job now. */
  isServing(backend: BackendName): Promise<boolean>;
}

export interface BackendsDeps {
  /** Closed by whoever opened them. */
  channels: Readonly<Record<BackendName, Channel>>;
  vouching: Vouching;
  clock: Clock;
}

const HEALTH_TIMEOUT_MS = 1_000;
/** Only these have scopes, which name routes: API keys, and sessions that were made with one. */
const SCOPED = /^mur_(?:key|ses)_/;

/** Calls services with the credentials of the gateway's own callers. */
export function createBackends({ channels, vouching, clock }: BackendsDeps): Backends {
  const timeLeftMs = ({ deadlineMs }: OnBehalf) => {
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw deadlineExceeded();
    return leftMs;
  };
  const credentialsFor = (audience: BackendName, on: OnBehalf): Credentials => {
    const { bearer, client, route } = on;
    // Who has no scopes may be vouched for again and again by the same token.
    const isScoped = bearer !== undefined && SCOPED.test(bearer.expose());
    return async (rpc) => ({
      ...(bearer && (await bearerCredentials(bearer)(rpc))),
      ...(await vouching({ audience, rpc, client, bearer, ...(isScoped && { route }) })),
    });
  };
  return {
    async call<M extends Unary>(
      rpc: M,
      request: RequestOf<M>,
      on: OnBehalf,
      backend = backendOf(rpc),
    ) {
      const { method } = createClient({ method: rpc }, channels[backend]);
      const control = {
        ...{ timeoutMs: timeLeftMs(on), signal: on.signal },
        credentials: credentialsFor(backend, on),
      };
      return (await method(request, control)) as ResponseOf<M>;
    },
    stream<M extends ServerStream>(rpc: M, request: RequestOf<M>, on: OnBehalf) {
      const backend = backendOf(rpc);
      const channel = withCredentials(channels[backend], credentialsFor(backend, on));
      const { method } = createClient({ method: rpc }, channel);
      const control = { timeoutMs: timeLeftMs(on), signal: on.signal };
      return method(request, control) as AsyncIterable<ResponseOf<M>>;
    },
    isServing: (backend) => checkHealth(channels[backend], HEALTH_TIMEOUT_MS),
  };
}

/** `/murmur.catalog.v1.SecretService/GetSecret` is the catalog's. */
function backendOf({ path }: MethodDefinition): BackendName {
  const found = BACKENDS.find((name) => path.startsWith(`/murmur.${name}.`));
  if (!found) throw new Error(`no service is known that answers ${path}`);
  return found;
}
