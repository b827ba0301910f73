import type { Log } from "./log";

/** Ends what was started; flushes within the exporter's own bounds. */
export interface Telemetry {
  stop(): Promise<void>;
}

export interface TelemetryOptions {
  /** `service.name` of every span and metric. */
  service: string;
  /** OTLP endpoint of a collector, such as `http://collector:4317`; absent: nothing is exported. */
  endpoint: string | undefined;
  log: Log;
}

let isOn = false;

/** Whether spans go anywhere: where they do not, what is done for every call need not make them. */
export function isExporting(): boolean {
  return isOn;
}

/**
 * Starts exporting spans and metrics. Everywhere else only `@opentelemetry/api` is used, which does
 * nothing until this has run; the SDK is loaded only when there is somewhere to export to, since
 * it is a third of a daemon's memory.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  if (options.endpoint === undefined) return { stop: () => Promise.resolve() };
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = options.endpoint;
  process.env["OTEL_METRICS_EXPORTER"] ??= "otlp";
  process.env["OTEL_LOGS_EXPORTER"] ??= "none";
  // Soon enough to watch a rollout by it.
  process.env["OTEL_BSP_SCHEDULE_DELAY"] ??= "500";
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const sdk = new NodeSDK({
    serviceName: options.service,
    instrumentations: [],
    autoDetectResources: false,
  });
  sdk.start();
  isOn = true;
  options.log.info("exporting telemetry", { endpoint: options.endpoint });
  return { stop: () => sdk.shutdown() };
}
