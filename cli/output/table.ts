import { printable } from "./printable";

/** One column: its title, what stands in a row, and how that is coloured. */
export interface Column<Row> {
  title: string;
  text: (row: Row) => string;
  paint?: (text: string, row: Row) => string;
}

const GAP = "  ";

/**
 * Rows under their titles, columns aligned, one line each. Texts may come from elsewhere: they are
 * made printable here.
 */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  paintTitle: (text: string) => string = (text) => text,
): string[] {
  const cells = rows.map((row) => columns.map(({ text }) => printable(text(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...cells.map((line) => width(line[index] ?? ""))),
  );
  const join = (parts: readonly { text: string; painted: string }[]) =>
    parts
      .map(({ text, painted }, index) =>
        index === parts.length - 1
          ? painted
          : painted + " ".repeat((widths[index] ?? 0) - width(text)),
      )
      .join(GAP)
      .trimEnd();
  const head = columns.map(({ title }) => ({ text: title, painted: paintTitle(title) }));
  const body = rows.map((row, line) =>
    columns.map(({ paint }, index) => {
      const text = cells[line]?.[index] ?? "";
      return { text, painted: paint ? paint(text, row) : text };
    }),
  );
  return [head, ...body].map(join);
}

/** Cells on a terminal, near enough: one per code point. */
function width(text: string): number {
  return Array.from(text).length;
}
