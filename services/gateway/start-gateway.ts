import { join } from "node:path";
import { openChannel } from "../../lib/grpc/client";
import { parseSigningKey } from "../../lib/identity/signing-key";
import type { Scope } from "../../lib/lifecycle";
import type { Log } from "../../lib/log";
import { startTelemetry } from "../../lib/telemetry";
import type { GatewayConfig } from "./config";
import { createGateway } from "./gateway";

/** Opens what the gateway needs and serves until the scope ends; services may come later. */
export async function startGateway(config: GatewayConfig, scope: Scope, log: Log): Promise<void> {
  const telemetry = await startTelemetry({
    service: "gateway",
    endpoint: config.otlpEndpoint,
    log,
  });
  scope.defer("telemetry", () => telemetry.stop());
  const open = (address: string) =>
    openChannel({ address, ...(config.upstreamTls && { tls: config.upstreamTls }) });
  const channels = { catalog: open(config.catalogAddress), rotation: open(config.rotationAddress) };
  scope.defer("channels", () => {
    for (const channel of Object.values(channels)) channel.close();
  });
  const gateway = await createGateway({
    ...{ channels, signingKey: parseSigningKey(config.signingKey), log },
    ...{ trustedProxies: config.trustedProxies, rateLimit: config.rateLimit },
    // Beside the bundle.
    dashboardDirectory: join(__dirname, "dashboard"),
    ...(config.tls && { tls: config.tls }),
  });
  const port = await gateway.listen(config.listen);
  scope.defer("server", () => gateway.stop(config.shutdownGraceMs / 2));
  scope.ready({ port });
}
