import type { Figure } from "./harness";

export interface BenchOptions {
  /** Of each figure; the worst counts. */
  runs: number;
  /** Rekeys of each run of S1, after the warm-up. */
  rekeys: number;
  /** Of the repository. */
  root: string;
  say: (line: string) => void;
}

/** What `npm run bench` can measure; each is loaded only when it is run. */
export const BENCHES: Record<string, (options: BenchOptions) => Promise<Figure[]>> = {
  s1: async (options) => (await import("./s1/s1-rekey")).benchS1(options, "stream"),
  "s1-kafka": async (options) => (await import("./s1/s1-rekey")).benchS1(options, "kafka"),
  s2: async (options) => (await import("./s2-writes")).benchS2(options),
  s3: async (options) => (await import("./adapt")).benchS3(options),
  s4: async (options) => (await import("./s4-verify")).benchS4(options),
  rotations: async (options) => (await import("./rotations")).benchRotations(options),
  refusals: async (options) => (await import("./refusal-timing")).benchRefusals(options),
  s8: async (options) => (await import("./adapt")).benchS8(options),
  s11: async (options) => (await import("./s11-openbao")).benchS11(options),
  live: async (options) => (await import("./live/live")).benchLive(options),
  gateway: async (options) => (await import("./gateway/gateway")).benchGateway(options),
  s12: async (options) => (await import("./adapt")).benchS12(options),
};
