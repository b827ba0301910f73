import { existsSync } from "node:fs";
import { join } from "node:path";
import staticFiles from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { refuseOtherMethods } from "../http/server";

/** The pages of people: files that a build has made, from one folder. */
export interface Dashboard {
  /** Adds `/` and `/assets/*`. */
  serve(app: FastifyInstance): Promise<void>;
  /**
   * Answers with the page, which finds its own way, when a person asks for a path that nothing else is served
   * under; undefined for programs, which are told so.
   */
  answer(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined;
}

const INDEX = "index.html";
const ASSETS = "/assets";
/** Under these a path that there is not is a mistake, whoever asks. */
const NO_PAGES = ["/v1", "/healthz", "/readyz", "/openapi.json", ASSETS];
/** `main-5XJQ7K2A.js`: what is in it is in its name. */
const HASHED = /-(?=[^./]*[0-9A-Z])[0-9A-Za-z_-]{8,}\.[a-z0-9.]+$/;

/**
 * Scripts and styles come from the gateway's own files alone, none is within the page, and no text becomes
 * a script; nothing else is loaded, sent to or framed.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");
const FEATURES = ["camera", "display-capture", "geolocation", "hid", "microphone", "midi"];
const MORE_FEATURES = ["payment", "publickey-credentials-get", "serial", "usb"];
const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": [...FEATURES, ...MORE_FEATURES].map((name) => `${name}=()`).join(", "),
};
const ALWAYS_ASK = "no-cache";
const FOR_EVER = "public, max-age=31536000, immutable";

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Murmur</title>
<h1>The dashboard is not built</h1>
<p>Run <code>npm run build</code> in the clone and load this page again. The REST interface works without it: <a href="/openapi.json">/openapi.json</a>.</p>
</html>
`;

/** Serves what is in `directory`, with `.br` and `.gz` files beside it for who takes them. */
export function createDashboard(directory: string): Dashboard {
  const sendPage = (reply: FastifyReply) => {
    reply.headers({ ...HEADERS, "cache-control": ALWAYS_ASK });
    if (existsSync(join(directory, INDEX))) return reply.sendFile(INDEX);
    return reply.code(503).type("text/html; charset=utf-8").send(NOT_BUILT);
  };
  return {
    async serve(app) {
      await app.register(staticFiles, {
        ...{ root: directory, serve: false, preCompressed: true },
        // Ours are set before; a folder that is not there yet is one that is not built.
        ...{ cacheControl: false, dotfiles: "ignore", suppressAllWarnings: true },
      } as const);
      app.get("/", (_request, reply) => sendPage(reply));
      app.get(`${ASSETS}/*`, (request, reply) => {
        const { "*": path } = request.params as { "*": string };
        // No file has such a name, and to ask for it would be a fault of ours.
        if (path.includes("\0")) {
          reply.callNotFound();
          return reply;
        }
        reply.headers({ ...HEADERS, "cache-control": HASHED.test(path) ? FOR_EVER : ALWAYS_ASK });
        return reply.sendFile(`assets/${path}`);
      });
      refuseOtherMethods(app, "/", ["GET"]);
      refuseOtherMethods(app, `${ASSETS}/*`, ["GET"]);
    },
    answer({ method, url, headers }, reply) {
      if (method !== "GET" && method !== "HEAD") return undefined;
      const [path = ""] = url.split("?");
      const isElsewhere = NO_PAGES.some((it) => path === it || path.startsWith(`${it}/`));
      const isPerson = headers.accept?.includes("text/html") ?? false;
      return isElsewhere || !isPerson ? undefined : sendPage(reply);
    },
  };
}
