import Fastify from "fastify";

/** A route that answers what a secret's route answers, and does nothing for it. */
export async function serveBare([port = "0"]: readonly string[]): Promise<void> {
  const secret = {
    ...{ name: "BENCH_SECRET", version: 1, delivery: "environment", updated_by: "local/developer" },
    created_at: "2026-01-01T00:00:00.000Z",
    updated_at: "2026-01-01T00:00:00.000Z",
  };
  const app = Fastify();
  app.get("/v1/secrets/:name", (_request, reply) => reply.send({ secret }));
  await app.listen({ host: "127.0.0.1", port: Number(port) });
  await new Promise(() => undefined);
}
