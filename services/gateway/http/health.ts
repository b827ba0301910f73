import type { FastifyInstance } from "fastify";
import type { JsonSchema } from "../json/schema";
import { BACKENDS, type Backends } from "../upstream/backends";
import { refuseOtherMethods } from "./server";

export interface HealthDeps {
  backends: Backends;
  document: JsonSchema;
  /** Aborts when this replica is about to end. */
  stopping: AbortSignal;
}

const UNLIMITED = { rateLimit: false } as const;

/**
 * What needs no credential. `/readyz` says 503 when the gateway stops, or reaches none of the services: one
 * that is away fails only its own routes, and another replica of the gateway would reach it no better.
 */
export function addHealth(
  app: FastifyInstance,
  { backends, document, stopping }: HealthDeps,
): void {
  const get = (url: string, answer: () => Promise<[number, object]>) => {
    app.get(url, { config: UNLIMITED }, async (_request, reply) => {
      const [status, body] = await answer();
      return reply.code(status).send(body);
    });
    refuseOtherMethods(app, url, ["GET"]);
  };
  get("/healthz", () => Promise.resolve([200, { status: "ok" }]));
  get("/readyz", async () => {
    const serving = await Promise.all(BACKENDS.map((name) => backends.isServing(name)));
    const words = BACKENDS.map((name, at) => [name, serving[at] ? "serving" : "away"]);
    const isReady = !stopping.aborted && serving.includes(true);
    const status = stopping.aborted ? "stopping" : isReady ? "ready" : "away";
    return [isReady ? 200 : 503, { status, ...(Object.fromEntries(words) as object) }];
  });
  get("/openapi.json", () => Promise.resolve([200, document]));
}
