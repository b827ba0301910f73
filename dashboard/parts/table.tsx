import type { ComponentChildren } from "preact";

/** What a column says of a row. */
export interface Column<Row> {
  name: string;
  of: (row: Row) => ComponentChildren;
  /** Of numbers, which line up on their right. */
  isNumber?: boolean;
}

interface TableProps<Row> {
  /** For those who hear the page. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
}

/**
 * Rows; on a narrow screen each becomes a card with the columns' names in it. The roles are told again,
 * since browsers forget them for a table that is laid out otherwise.
 */
export function Table<Row>({ caption, columns, rows, keyOf }: TableProps<Row>) {
  return (
    <table class="table" role="table" aria-label={caption}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ name, isNumber }) => (
            <th key={name} role="columnheader" scope="col" class={isNumber ? "number" : ""}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map(({ name, of, isNumber }) => (
              <td key={name} role="cell" data-label={name} class={isNumber ? "number" : ""}>
                <div>{of(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
