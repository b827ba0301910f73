import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import rateLimit from "@fastify/rate-limit";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, invalid, isAppError } from "../../../lib/errors";
import type { Log } from "../../../lib/log";
import { toRouterPath } from "../routes/route";
import { MethodNotAllowed, noSuchRoute, toErrorAnswer, tooManyRequests } from "./errors";
import { readJson, readRequestId, unread } from "./read-request";

declare module "fastify" {
  interface FastifyContextConfig {
    /** As of a route. */
    hasLenientBody?: boolean;
  }
}

export interface HttpOptions {
  tls: { certFile: string; keyFile: string } | undefined;
  /** Addresses and networks whose `X-Forwarded-For` counts. */
  trustedProxies: readonly string[];
  /** Requests of one client in 10 s. */
  rateLimit: number;
  log: Log;
  /** What is answered under a path that there is not; undefined: that there is none. */
  answerUnknown: (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined;
}

export const MAX_BODY_BYTES = 1024 * 1024;
const RATE_WINDOW_MS = 10_000;
/** Of the path, each. */
const MAX_PARAM_LENGTH = 2048;
/** To send a request in; a client that takes longer holds a connection for nothing. */
const RECEIVE_MS = 15_000;
/** Without a byte in either direction; event streams have pings. */
const QUIET_MS = 60_000;

/** Every answer is JSON for programs: nothing of it is to be kept, framed, guessed at or run. */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
const HSTS = { "strict-transport-security": "max-age=31536000" };

/** Plugins are loaded in order: await it, then add routes. */
export async function createHttpServer(options: HttpOptions): Promise<FastifyInstance> {
  const { tls, trustedProxies, log } = options;
  const app = Fastify({
    ...(tls && { https: { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) } }),
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    logger: false,
    genReqId: (request) => readRequestId(request.headers) ?? randomUUID(),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: RECEIVE_MS,
    connectionTimeout: QUIET_MS,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      // Nobody waits for it: a client that is gone by then must not end the process.
      answerError(log, toAppError(error), request, reply).catch((failure: unknown) => {
        log.debug("an error could not be answered", { requestId: request.id, error: failure });
      });
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, querystringParser: unread },
  });
  app.addHook("onRequest", async (request, reply) => {
    const hsts = request.protocol === "https" ? HSTS : {};
    reply.headers({ ...SECURITY_HEADERS, ...hsts, "x-request-id": request.id });
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, bytes, done) => {
    try {
      done(null, readJson(bytes as Buffer));
    } catch (error) {
      if (request.routeOptions.config.hasLenientBody) done(null);
      else done(error as Error);
    }
  });
  app.setErrorHandler((error, request, reply) =>
    answerError(log, toAppError(error as FastifyError), request, reply),
  );
  await app.register(rateLimit, {
    max: options.rateLimit,
    timeWindow: RATE_WINDOW_MS,
    errorResponseBuilder: (_request, { ttl }) => tooManyRequests(ttl),
  });
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request, reply) => {
    const answer = options.answerUnknown(request, reply);
    if (!answer) throw noSuchRoute();
    return answer;
  });
  return app;
}

/** Answers 405 with the methods that there are, for every other method of a path. */
export function refuseOtherMethods(
  app: FastifyInstance,
  path: string,
  served: readonly string[],
): void {
  const allow = served.includes("GET") ? ["HEAD", ...served] : served;
  app.route({
    method: app.supportedMethods.filter((method) => !allow.includes(method)),
    url: toRouterPath(path),
    // Before Fastify finds that a method which it knows comes without a body.
    onRequest: (request, _reply, done) => {
      done(new MethodNotAllowed(request.method, allow.toSorted()));
    },
    handler: () => undefined,
  });
}

async function answerError(
  log: Log,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const about = { requestId: request.id, route: request.routeOptions.url, error };
  if (!isAppError(error)) log.error("request failed with a bug", about);
  else if (error.code === "UNAVAILABLE") log.warn("request failed", about);
  const { status, headers, body } = toErrorAnswer(error, request.id);
  // Whatever was meant to be answered has set headers of its own.
  await reply
    .code(status)
    .headers({ ...SECURITY_HEADERS, ...headers })
    .send(body);
}

/** What Fastify itself refuses, as an error of ours; anything else as it is. */
function toAppError(error: FastifyError): unknown {
  if (isAppError(error)) return error;
  switch (error.code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return invalid("content-type", "the content type must be application/json");
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return tooLarge();
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return invalid("content-length", "the body is not as long as it said");
    case "FST_ERR_BAD_URL":
      return invalid("", "the path is not percent-encoded UTF-8");
    case "FST_ERR_MAX_PARAM_LENGTH":
      return invalid("", "a part of the path is too long");
    default:
      // The rest of what Fastify finds wrong with a request; its words are for programmers.
      return isRefusal(error) ? invalid("", "the request cannot be read") : error;
  }
}

function isRefusal({ code, statusCode = 500 }: FastifyError): boolean {
  return code.startsWith("FST_") && statusCode >= 400 && statusCode < 500;
}

function tooLarge(): AppError {
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE,
    message: "the body is larger than this route takes",
  });
}

/** Bytes that are no HTTP: there is no request, and so no reply of Fastify's. */
function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const why =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "the headers are too large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "the request did not come in time"
        : "the request is not HTTP";
  const { body } = toErrorAnswer(invalid("", why), "");
  const text = JSON.stringify(body);
  const head = [
    "HTTP/1.1 400 Bad Request",
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(text)}`,
    "connection: close",
  ];
  if (socket.writable) socket.write(`${head.join("\r\n")}\r\n\r\n${text}`);
  socket.destroySoon();
}
