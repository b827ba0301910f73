import { sensitive } from "../../lib/sensitive";
import { render, type RenderedSet } from "../../services/vm-agent/env-set/render";

export const EXAMPLE_AGENT = "agent-1";

/** A generation whose every file names it: `stamp-000017` early, `close-000017` late. */
export function exampleSet(generation: bigint): RenderedSet {
  const number = generation.toString().padStart(6, "0");
  const values = {
    A_STAMP: `stamp-${number}`,
    B_LINES: `two\nlines ${"x".repeat(900)}`,
    Z_CLOSE: `close-${number}`,
  };
  const variables = Object.entries(values).map(([name, value]) => ({
    name,
    value: sensitive(Buffer.from(value)),
    delivery: "environment" as const,
  }));
  const cert = `stamp-${number} ${"y".repeat(5000)} close-${number}`;
  const file = { name: "CERT", value: sensitive(Buffer.from(cert)), delivery: "file" as const };
  return render(
    {
      agentId: EXAMPLE_AGENT,
      generation,
      variables: [...variables, file],
      unset: [],
      fingerprint: `f${number}`,
    },
    // A key of its own makes a generation the same in every process.
    { directory: "/run/a", history: { generation: 0n, key: Buffer.alloc(16), entries: [] } },
  );
}
