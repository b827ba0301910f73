/** One figure of quality.md beside its yardstick: of several runs, the worst. */
export interface Figure {
  /** As in quality.md: `S1`. */
  id: string;
  name: string;
  ours: number;
  yardstick: number;
  unit: string;
  ratio: number;
  /** The mark that the ratio has to meet, in words; empty for a figure that is only shown. */
  pass: string;
  verdict: "pass" | "MISS" | "-";
  notes: string[];
}

/** What a ratio has to be; absent for a figure that is only shown. */
export type Mark = { atMost: number } | { atLeast: number };

/** One run of one figure. */
export interface Run {
  ours: number;
  yardstick: number;
  /** Where it is not ours over yardstick. */
  ratio?: number;
}

export interface FigureInit {
  id: string;
  name: string;
  unit: string;
  mark?: Mark;
  notes?: string[];
}

/** Takes the worst of the runs as the figure. */
export function toFigure(init: FigureInit, runs: readonly Run[]): Figure {
  const { id, name, unit, mark } = init;
  const isHighWorse = !mark || "atMost" in mark;
  const sorted = runs.map(({ ours, yardstick, ratio = ours / yardstick }) => {
    return { ours, yardstick, ratio };
  });
  sorted.sort((a, b) => (isHighWorse ? b.ratio - a.ratio : a.ratio - b.ratio));
  const [worst] = sorted;
  if (!worst) throw new Error(`${id} ${name} has no run`);
  const ratios =
    sorted.length > 1 ? [`ratios ${sorted.map((run) => round(run.ratio)).join(", ")}`] : [];
  const { ours, yardstick, ratio } = worst;
  return {
    ...{ id, name, ours: round(ours), yardstick: round(yardstick), unit, ratio: round(ratio) },
    pass: toWords(mark),
    verdict: mark ? (meets(ratio, mark) ? "pass" : "MISS") : "-",
    notes: [...(init.notes ?? []), ...ratios],
  };
}

function meets(ratio: number, mark: Mark): boolean {
  return "atMost" in mark ? ratio <= mark.atMost : ratio >= mark.atLeast;
}

function toWords(mark: Mark | undefined): string {
  if (!mark) return "";
  return "atMost" in mark ? `≤ ${mark.atMost}×` : `≥ ${mark.atLeast}×`;
}

/** The value below which `part` of the samples lie. */
export function percentile(samples: readonly number[] | Float64Array, part: number): number {
  // Of floats: sorted without a call for each comparison.
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Three significant digits, and whole numbers from 100 on. */
function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

const COLUMNS = ["", "figure", "ours", "yardstick", "unit", "ratio", "mark", ""] as const;

/** The figures as a table for people. */
export function toTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ id, name, ours, yardstick, unit, ratio, pass, verdict }) => [
    ...[id, name, String(ours), String(yardstick), unit, String(ratio), pass, verdict],
  ]);
  const all = [[...COLUMNS], ...rows];
  const widths = COLUMNS.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const isNumber = (at: number) => at === 2 || at === 3 || at === 5;
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (isNumber(at) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join("  ")
      .trimEnd();
  return all.map(line).join("\n");
}
