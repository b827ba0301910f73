import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";

/** W3C trace context of the active span; empty when there is none. */
export function currentTraceparent(): string {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier["traceparent"] ?? "";
}

/**
 * Runs work as a span below the one that `traceparent` names, which may be of another process;
 * calls that it makes join the same trace. Attributes are ids and numbers, never values.
 */
export function runUnder<T>(
  traceparent: string,
  span: { name: string; attributes: Record<string, string | number> },
  work: () => Promise<T>,
): Promise<T> {
  const parent = propagation.extract(context.active(), { traceparent });
  const options = { kind: SpanKind.CONSUMER, attributes: span.attributes };
  return trace.getTracer("murmur").startActiveSpan(span.name, options, parent, async (active) => {
    try {
      return await work();
    } catch (error) {
      active.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      active.end();
    }
  });
}
