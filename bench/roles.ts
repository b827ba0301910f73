/** Programs that a bench starts as processes of their own: `node dist/bench.js role NAME …`. */
const ROLES: Record<string, (args: readonly string[]) => Promise<void>> = {
  reader: async (args) => (await import("./s1/reader")).read(args),
  "bare-server": async (args) => (await import("./s1/bare-server")).serve(args),
  "bare-daemon": async (args) => (await import("./s1/bare-daemon")).keepFiles(args),
  "bare-fastify": async (args) => (await import("./gateway/bare-fastify")).serveBare(args),
  "kafka-consumer": async (args) => (await import("./s1/kafka-consumer")).consume(args),
};

/** Plays the role for as long as it goes on. */
export async function runRole([name = "", ...args]: readonly string[]): Promise<number> {
  const role = ROLES[name];
  if (!role) return 2;
  await role(args);
  return 0;
}
