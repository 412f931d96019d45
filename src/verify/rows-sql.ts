import { escapeIdentifier } from "pg";

/** A table as the statements need it. */
export interface ReadTable {
  /** Quoted, with its schema. */
  readonly relation: string;
  /** The types of its columns by name; none if there is no such table. */
  readonly types: ReadonlyMap<string, string>;
}

/** A table, and which of its columns to read. One that it lacks is read as NULL. */
export interface ReadColumns extends ReadTable {
  readonly columns: readonly string[];
}

/** Reads rows by key. @param keyType SQL's name of it */
export function rowsText({ relation, types, columns }: ReadColumns, keyType: string): string {
  const selected = columns.map((name) => (types.has(name) ? escapeIdentifier(name) : "NULL"));
  return `SELECT _id, ${selected.join(", ")} FROM ${relation} WHERE _id = ANY($1::${keyType}[])`;
}

/**
 * Reads rows by key, each followed by those of its children: the key, the place of the table (0 for the document's, n for
 * children[n - 1]), the columns. One statement, so that all are of one moment; row by row, because one document can have a
 * hundred thousand elements.
 *
 * OFFSET 0 has PostgreSQL look the elements up by their document's key. Otherwise it may read the whole table.
 */
export function rowsWithElementsText(
  documents: ReadColumns,
  children: readonly ReadColumns[],
  keyType: string,
): string {
  const width = Math.max(documents.columns.length, ...children.map(({ columns }) => columns.length));
  const cells = Array.from({ length: width }, (_, index) => `c${index}`);
  const parts = [
    `SELECT 0, ${outputs(documents, "document", width)}`,
    ...children.flatMap((child, index) =>
      hasParent(child)
        ? [
            `(SELECT ${index + 1}, ${outputs(child, "element", width)} FROM ${child.relation} AS element
  WHERE element._parent = document._id OFFSET 0)`,
          ]
        : [],
    ),
  ];
  return `SELECT document._id, part.* FROM ${documents.relation} AS document CROSS JOIN LATERAL (
  ${parts.join("\n  UNION ALL ")}
) AS part (place, ${cells.join(", ")}) WHERE document._id = ANY($1::${keyType}[])`;
}

/** The columns as texts, in the form in which PostgreSQL sends them; `::text` has another one of booleans. */
function outputs({ types, columns }: ReadColumns, alias: string, width: number): string {
  return Array.from({ length: width }, (_, index) => {
    const name = columns[index];
    if (name === undefined || !types.has(name)) return "NULL::text";
    const column = `${alias}.${escapeIdentifier(name)}`;
    return `CASE WHEN ${column} IS NOT NULL THEN format('%s', ${column}) END`;
  }).join(", ");
}

/** Whether elements can be read from the table of a child. */
export function hasParent({ types }: ReadTable): boolean {
  return types.has("_parent");
}

/**
 * Reads the next keys in the tables of children, with whether the documents' table has no row of it. `$1` is how many, `$2`
 * the key before them.
 * @param children at least one; each has `_parent`
 */
export function parentsText(documents: ReadTable, children: readonly ReadTable[], isFirst: boolean): string {
  const behind = isFirst ? "" : "WHERE _parent > $2";
  const parents = children.map(
    ({ relation }) => `(SELECT DISTINCT _parent AS key FROM ${relation} ${behind} ORDER BY _parent LIMIT $1)`,
  );
  return `SELECT key, ${isGone(documents, "step")} FROM (
  SELECT key FROM (${parents.join(" UNION ")}) AS parents ORDER BY key LIMIT $1
) AS step ORDER BY key`;
}

/** Reads those of the keys `$1` that elements have, but no document. @param children as in `parentsText` */
export function orphansText(documents: ReadTable, children: readonly ReadTable[], keyType: string): string {
  const parents = children.map(
    ({ relation }) => `SELECT _parent AS key FROM ${relation} WHERE _parent = ANY($1::${keyType}[])`,
  );
  return `SELECT key FROM (${parents.join(" UNION ")} ORDER BY key) AS parents WHERE ${isGone(documents, "parents")}`;
}

/** @param keys the alias of the keys. Without it, a column `key` of the table would be meant. */
function isGone({ relation, types }: ReadTable, keys: string): string {
  return types.has("_id")
    ? `NOT EXISTS (SELECT FROM ${relation} AS document WHERE document._id = ${keys}.key)`
    : "true";
}
