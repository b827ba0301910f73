/** Upper ends of the bars, ms: each twice the one before. */
const ENDS = [25, 50, 100, 200, 400, 800, 1_600, 3_200, Infinity];
const HEIGHT = 72;
const WIDTH = 40;

/** How long it took agents to be on a rollout: a histogram, and the same in words. */
export function Latencies({ latenciesMs }: { latenciesMs: readonly number[] }) {
  if (latenciesMs.length === 0) return null;
  const counts = ENDS.map(
    (end, at) => latenciesMs.filter((ms) => ms <= end && ms > (ENDS[at - 1] ?? -1)).length,
  );
  const highest = Math.max(...counts);
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const words = `Half of them within ${percentile(sorted, 0.5)} ms, 99 of 100 within ${percentile(sorted, 0.99)} ms`;
  return (
    <section class="card">
      <h2>Time until an agent had it</h2>
      <p>{words}.</p>
      <svg
        class="histogram"
        role="img"
        aria-label={words}
        viewBox={`0 0 ${ENDS.length * WIDTH} ${HEIGHT + 18}`}
      >
        {counts.map((count, at) => {
          const height = count === 0 ? 0 : Math.max(3, (count / highest) * HEIGHT);
          const end = ENDS[at] ?? 0;
          return (
            <g key={end} transform={`translate(${at * WIDTH} 0)`}>
              <rect x="3" y={HEIGHT - height} width={WIDTH - 6} height={height} rx="3" />
              <text x={WIDTH / 2} y={HEIGHT + 14} text-anchor="middle">
                {end === Infinity ? "more" : `≤ ${end}`}
              </text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

/** Of numbers in their order. */
export function percentile(sorted: readonly number[], of: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? 0;
}
