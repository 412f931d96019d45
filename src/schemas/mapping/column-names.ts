import type { ChildMapping, CollectionMapping } from "./mapping.ts";

/** In document mode, the column with the whole document. */
export const DOC_COLUMN = "doc";
/** In columns mode, and in the tables of children, the column with everything that the declared columns do not hold. */
export const EXTRA_COLUMN = "_extra";
/** In the table of a child, the key of the document. */
export const PARENT_COLUMN = "_parent";
/** The column of a child whose elements are values. */
export const VALUE_COLUMN = "value";

/**
 * The columns of a child's table with an element's position in its array, from 0; before it those of the arrays around it,
 * from the outside.
 * @param level 1 for an array of the document, 2 for an array in its elements …
 */
export function positionColumns(level: number): readonly string[] {
  return Array.from({ length: level }, (_, index) => (index === 0 ? "_position" : `_position_${index + 1}`));
}

/** The names of a table's columns, besides `_id` and `_version`. */
export function columnNames({ mode, columns }: CollectionMapping): readonly string[] {
  return mode === "document" ? [DOC_COLUMN] : [...columns.map(({ name }) => name), EXTRA_COLUMN];
}

/** The suffixes (see `RowChild`) of the tables of the children, at every level, each before those in its elements. */
export function childSuffixes({ children }: Pick<ChildMapping, "children">): readonly string[] {
  return children.flatMap((child) => [child.name, ...childSuffixes(child).map((inner) => `${child.name}_${inner}`)]);
}

/** The name of a child's table. @param table of the documents, or of the child around it @param suffix as in `RowChild` */
export function childTableName(table: string, suffix: string): string {
  return `${table}_${suffix}`;
}
