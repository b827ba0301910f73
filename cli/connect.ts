import { EnvironmentServiceService } from "../gen/murmur/catalog/v1/environments";
import { SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { VmServiceService } from "../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../gen/murmur/catalog/v1/workspaces";
import { AgentServiceService } from "../gen/murmur/rotation/v1/agents";
import { IdentityServiceService } from "../gen/murmur/rotation/v1/identity";
import { RolloutServiceService } from "../gen/murmur/rotation/v1/rollouts";
import { type Channel, createClient, openChannel } from "../lib/grpc/client";
import { type Sensitive } from "../lib/sensitive";

/** Where a service is, and who asks. */
export interface ServiceAddress {
  address: string;
  token: Sensitive<string> | undefined;
  caFile: string | undefined;
}

export type Catalog = ReturnType<typeof connectCatalog>;
export type Rotation = ReturnType<typeof connectRotation>;

/** Clients of the catalog over one channel; `close` it. Connects at the first call. */
export function connectCatalog(to: ServiceAddress) {
  const channel = open(to);
  return {
    secrets: createClient(SecretServiceService, channel),
    workspaces: createClient(WorkspaceServiceService, channel),
    vms: createClient(VmServiceService, channel),
    environments: createClient(EnvironmentServiceService, channel),
    close: () => {
      channel.close();
    },
  };
}

/** Clients of rotation over one channel; `close` it. Connects at the first call. */
export function connectRotation(to: ServiceAddress) {
  const channel = open(to);
  return {
    agents: createClient(AgentServiceService, channel),
    rollouts: createClient(RolloutServiceService, channel),
    identity: createClient(IdentityServiceService, channel),
    close: () => {
      channel.close();
    },
  };
}

function open({ address, token, caFile }: ServiceAddress): Channel {
  return openChannel({
    address,
    timeoutMs: 15_000,
    keepaliveMs: 5_000,
    ...(caFile !== undefined && { tls: { caFile } }),
    ...(token && {
      credentials: () => Promise.resolve({ authorization: `Bearer ${token.expose()}` }),
    }),
  });
}
