import { cellTexts } from "../../schemas/decoding/cells.ts";
import { positionColumns } from "../../schemas/mapping/column-names.ts";
import type { Change, ChildRows, RowChild } from "../../schemas/row-schema.ts";

/** A row by its columns' names. Values as PostgreSQL's input texts: numbers keep all digits. */
export type ShownRow = Readonly<Record<string, string | null>>;

/** The text has no more elements of a child; the JSON has all. */
const MOST_ELEMENTS = 10;

/** Null for a delete. */
export function rowOf({ rowSchema, cells }: Change): ShownRow | null {
  if (cells === null) return null;
  return rowFrom(
    rowSchema.columns.map(({ name }) => name),
    cellTexts(cells),
  );
}

/** The rows of the elements, by the suffix of their table. */
export function elementRows({ rowSchema, children }: Change): Readonly<Record<string, readonly ShownRow[]>> {
  return Object.fromEntries(
    children.map((rows, place) => {
      const child = rowSchema.children[place] as RowChild;
      return [child.suffix, rowsOf(child, rows)];
    }),
  );
}

function rowsOf({ around, columns }: RowChild, { rows, cells }: ChildRows): readonly ShownRow[] {
  const names = [...positionColumns(around.length + 1), ...columns.map(({ name }) => name)];
  const texts = cellTexts(cells);
  return Array.from({ length: rows }, (_, row) =>
    rowFrom(names, texts.slice(row * names.length, (row + 1) * names.length)),
  );
}

function rowFrom(names: readonly string[], texts: readonly (string | null)[]): ShownRow {
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? null]));
}

/** A change as lines: `status = open`, `items 0: sku = a, qty = 1`. */
export function rowLines(change: Change): readonly string[] {
  const own = Object.entries(rowOf(change) ?? {}).map(pairText);
  return [...own, ...Object.entries(elementRows(change)).flatMap(([name, rows]) => elementLines(name, rows))];
}

function elementLines(name: string, rows: readonly ShownRow[]): readonly string[] {
  const lines = rows.slice(0, MOST_ELEMENTS).map((row) => {
    const cells = Object.entries(row);
    const positions = cells.filter(([column]) => column.startsWith("_position")).map(([, position]) => position);
    const values = cells.filter(([column]) => !column.startsWith("_position")).map(pairText);
    return `${name} ${positions.join(".")}: ${values.join(", ")}`;
  });
  const more = rows.length - lines.length;
  return more > 0 ? [...lines, `${name}: ${more} more, which --json shows`] : lines;
}

function pairText([column, value]: [string, string | null]): string {
  return `${column} = ${value ?? "NULL"}`;
}
