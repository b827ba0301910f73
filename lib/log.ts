import { isSpanContextValid, trace } from "@opentelemetry/api";
import { pino, type DestinationStream, type Logger } from "pino";

/** Values beside the constant message. A secret has the type `Sensitive` and prints as a mask. */
export type LogFields = Record<string, unknown>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  child(fields: LogFields): Log;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** JSON lines on standard output, with trace and span ids when a span is active. */
export function createLog(
  service: string,
  level: LogLevel = "info",
  destination?: DestinationStream,
): Log {
  const root = pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: toLoggableError },
      mixin: traceFields,
    },
    ...(destination ? [destination] : []),
  );
  return toLog(root);
}

/** Discards everything: the default of components built without a log. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

function toLog(logger: Logger): Log {
  return {
    debug: (message, fields) => {
      logger.debug(fields ?? {}, message);
    },
    info: (message, fields) => {
      logger.info(fields ?? {}, message);
    },
    warn: (message, fields) => {
      logger.warn(fields ?? {}, message);
    },
    error: (message, fields) => {
      logger.error(fields ?? {}, message);
    },
    child: (fields) => toLog(logger.child(fields)),
  };
}

function traceFields(): Record<string, string> {
  const context = trace.getActiveSpan()?.spanContext();
  if (!context || !isSpanContextValid(context)) return {};
  return { trace_id: context.traceId, span_id: context.spanId };
}

/** Message, stack and causes; never an error's other properties, which may hold anything. */
function toLoggableError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? {} : { cause: toLoggableError(error.cause) };
  const code = "code" in error ? { code: String(error.code) } : {};
  return { name: error.name, message: error.message, ...code, stack: error.stack, ...cause };
}
