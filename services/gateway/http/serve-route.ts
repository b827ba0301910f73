import {
  context as otelContext,
  metrics,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import { canonicalPath, type RestRequest, type Route, toRouterPath } from "../routes/route";
import { noSuchRoute } from "./errors";
import { MAX_BODY_BYTES } from "./server";
import { readCaller } from "./read-caller";
import { readQuery, toClientAddress, type UnreadQuery } from "./read-request";
import { sendEvents } from "./send-events";
import type { Validation } from "./validation";

export interface ServeDeps {
  validation: Validation;
  clock: Clock;
  log: Log;
  /** Aborts when event streams have to end. */
  stopping: AbortSignal;
  /** How long a request may take whose route does not say. */
  timeoutMs: number;
}

type Given = Pick<RestRequest, "params" | "query" | "body">;

/** Serves a route: its schemas first, then its handler, under one deadline and one span. */
export function serveRoute(app: FastifyInstance, deps: ServeDeps, route: Route): void {
  const { validation } = deps;
  const params = validation.texts(route.params);
  const query = validation.texts(route.query ?? {});
  const body = route.body && validation.body(route.body);
  app.route({
    method: route.method,
    url: toRouterPath(route.path),
    exposeHeadRoute: route.method === "GET",
    config: { hasLenientBody: route.hasLenientBody ?? false },
    bodyLimit: route.maxBodyBytes ?? MAX_BODY_BYTES,
    handler: async (request, reply) => {
      const given: Given = {
        params: request.params as Given["params"],
        query: readQuery(request.query as UnreadQuery),
        // Where there was none; `null` is a body.
        body: bodyOf(route, request.body),
      };
      // `/v1/secrets/` is no secret without a name, but a path that there is not.
      if (Object.values(given.params).includes("")) throw noSuchRoute();
      const wrong = params(given.params) ?? query(given.query) ?? body?.(given.body);
      if (wrong) throw wrong;
      await underSpan(route, request, () => answer(deps, route, given, { request, reply }));
      return reply;
    },
  });
}

function bodyOf({ body, hasLenientBody }: Route, given: unknown): Given["body"] {
  if (given === undefined || !body) return {};
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  return (hasLenientBody && !isObject ? {} : given) as Given["body"];
}

async function answer(
  { clock, log, stopping, timeoutMs }: ServeDeps,
  route: Route,
  given: Given,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): Promise<void> {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    gone.abort();
  });
  const isStream = Object.values(route.answers).some(({ mediaType }) => mediaType !== undefined);
  const signal = isStream ? AbortSignal.any([gone.signal, stopping]) : gone.signal;
  const { bearer, cookie } = readCaller(request);
  const { status, body, headers, events } = await route.handle({
    ...given,
    header: (name) => textOf(request.headers[name]),
    on: {
      bearer,
      client: toClientAddress(request.ip),
      route: { method: request.method, path: canonicalPath(route, given.params) },
      signal,
      deadlineMs: clock.monotonicMs() + (route.timeoutMs ?? timeoutMs),
    },
    cookie,
  });
  if (!events) {
    await reply
      .code(status)
      .headers(headers ?? {})
      .send(body);
    return;
  }
  reply.hijack();
  const own = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
  reply.raw.writeHead(status, { ...(reply.getHeaders() as Record<string, string>), ...own });
  const { failed } = await sendEvents(reply.raw, events, signal);
  if (failed) log.warn("event stream broke", { requestId: request.id, error: failed });
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** A span below the one that the request's `traceparent` names; services' spans are below it. */
function underSpan(
  { method, path }: Route,
  request: FastifyRequest,
  work: () => Promise<void>,
): Promise<void> {
  const parent = propagation.extract(otelContext.active(), request.headers);
  const attributes = { "http.request.method": method, "http.route": path };
  const options = { kind: SpanKind.SERVER, attributes };
  const tracer = trace.getTracer("murmur");
  return tracer.startActiveSpan(`${method} ${path}`, options, parent, async (span) => {
    try {
      await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Logs and counts what was answered: by route, since paths may hold what somebody mistook for a name. */
export function recordAnswers(app: FastifyInstance, log: Log): void {
  const duration = metrics.getMeter("murmur").createHistogram("murmur.gateway.request.duration", {
    unit: "ms",
    description: "From a request's first line to the end of its answer",
  });
  app.addHook("onResponse", async (request, reply) => {
    const { method, id: requestId } = request;
    const route = request.routeOptions.url ?? "none";
    const status = reply.raw.statusCode;
    duration.record(reply.elapsedTime, { method, route, status });
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    log.info("answered", { method, route, status, ms, requestId });
  });
}
