import { keyColumnType } from "../../../schemas/keys/document-key.ts";
import { childTableName, PARENT_COLUMN, positionColumns } from "../../../schemas/mapping/column-names.ts";
import { parseColumnType } from "../../../schemas/mapping/column-type.ts";
import type { IdType } from "../../../schemas/mapping/mapping.ts";
import type { Change, ChildRows, RowChild, RowColumn } from "../../../schemas/row-schema.ts";
import type { Upsert } from "../../batches/fold-batch.ts";
import type { TableName } from "../../ports.ts";
import type { Query } from "../session.ts";
import { castValue, named } from "./statement-text.ts";
import { columnArrays, textArray } from "./text-arrays.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** The statements about the table of a child. */
export interface ChildStatements {
  /** The places in `RowSchema.children` of the arrays that lead to the elements, its own last. Null: the records do not have it. */
  readonly path: readonly number[] | null;
  /** Writes the elements. Null: the records do not have it. */
  readonly put: Query | null;
  /** How many parameters `put` has; all are arrays. */
  readonly putArrays: number;
  /** How many cells a row of `ChildRows` has, by level. */
  readonly cellsOfLevels: readonly number[];
  /** For each level, deletes what is beyond the end of an array of that level. */
  readonly cuts: readonly Query[];
  /** Deletes the elements of documents that are gone. */
  readonly delete: Query;
}

export interface ChildTarget {
  /** The table of the documents. */
  readonly parent: TableName;
  readonly table: TableName;
  readonly idType: IdType;
}

/** The table of a child. @param suffix as in `RowChild` */
export function childTable({ schema, table }: TableName, suffix: string): TableName {
  return { schema, table: childTableName(table, suffix) };
}

/**
 * Builds the statements about a child. They run behind those about the documents, in the same transaction. They touch the
 * elements of exactly those documents whose row has the version of the change: a document that the version guard left as it
 * is has another one. An element that has not changed is not written.
 *
 * They look rows up by key, one by one: a join of two parameters would be planned without knowing how long these are. OFFSET 0
 * keeps PostgreSQL from looking a row up by a part of its key, which it does in a table that it takes for small.
 * @param resetColumns as in `StatementTarget`
 */
export function childStatements(
  target: ChildTarget,
  children: readonly RowChild[],
  place: number,
  resetColumns: readonly string[],
): ChildStatements {
  const child = children[place] as RowChild;
  const path = [...child.around, place];
  return {
    path,
    put: named(putText(target, child, resetColumns)),
    putArrays: 2 + path.length + child.columns.length,
    cellsOfLevels: path.map((each, level) => level + 1 + (children[each] as RowChild).columns.length),
    cuts: path.map((_, level) => named(cutText(target, level + 1, path.length))),
    delete: named(deleteText(target)),
  };
}

/** The same for a child that the records do not have: records of another RowSchema have filled its table. */
export function emptyingStatements(target: ChildTarget): ChildStatements {
  // Whatever its level: the first position is enough to find everything.
  return {
    path: null,
    put: null,
    putArrays: 0,
    cellsOfLevels: [],
    cuts: [named(cutText(target, 1, 1))],
    delete: named(deleteText(target)),
  };
}

/** The queries that write the elements of documents. */
export function childWrites(sql: ChildStatements, upserts: readonly Upsert[]): readonly Query[] {
  const { path, put, cuts, cellsOfLevels } = sql;
  if (path === null || put === null) {
    return cuts.map((cut) => ({ ...cut, values: keyed(upserts, () => 1, [textArray(upserts.map(() => "0"))]) }));
  }
  const own = path.at(-1) as number;
  const queries = cuts.map((cut, level) => cutQuery(cut, upserts, { path, level, cellsOfLevels }));
  const rows = upserts.map((upsert) => rowsAt(upsert, own));
  if (rows.every((each) => each.rows === 0)) return queries;
  const arrays = cellArrays(rows, cellsOfLevels.at(-1) as number);
  return [...queries, { ...put, values: keyed(upserts, (upsert) => rowsAt(upsert, own).rows, arrays) }];
}

export function childDeletes(sql: ChildStatements, deletes: readonly Change[]): Query {
  return { ...sql.delete, values: [textArray(deletes.map(({ key }) => key))] };
}

interface Level {
  readonly path: readonly number[];
  readonly level: number;
  readonly cellsOfLevels: readonly number[];
}

function cutQuery(cut: Query, upserts: readonly Upsert[], { path, level, cellsOfLevels }: Level): Query {
  const lengths = upserts.flatMap((upsert) => rowsAt(upsert, path[level] as number).lengths);
  const lengthsArray = lengths.length === 0 ? "{}" : textArray(lengths.map(String));
  if (level === 0) return { ...cut, values: keyed(upserts, () => 1, [lengthsArray]) };
  // Of each element around, the length of the array in it.
  const around = path[level - 1] as number;
  const rows = upserts.map((upsert) => rowsAt(upsert, around));
  const positions = lengths.length === 0 ? [] : cellArrays(rows, cellsOfLevels[level - 1] as number).slice(0, level);
  const arrays = positions.length === 0 ? Array.from({ length: level }, () => "{}") : positions;
  return { ...cut, values: keyed(upserts, (upsert) => rowsAt(upsert, around).rows, [lengthsArray, ...arrays]) };
}

function cellArrays(rows: readonly ChildRows[], columns: number): readonly Buffer[] {
  const count = rows.reduce((sum, each) => sum + each.rows, 0);
  return columnArrays(
    rows.map(({ cells }) => cells),
    columns,
    count,
  );
}

/** The parameters of a statement: keys and versions, as often as the change has rows, then `arrays`. */
function keyed(
  upserts: readonly Upsert[],
  count: (upsert: Upsert) => number,
  arrays: readonly (Buffer | string)[],
): readonly (Buffer | string)[] {
  const keys: string[] = [];
  const versions: string[] = [];
  for (const upsert of upserts) {
    const version = String(upsert.version);
    for (let rows = count(upsert); rows > 0; rows--) {
      keys.push(upsert.key);
      versions.push(version);
    }
  }
  return [...(keys.length === 0 ? ["{}", "{}"] : [textArray(keys), textArray(versions)]), ...arrays];
}

function rowsAt({ children }: Upsert, place: number): ChildRows {
  const rows = children[place];
  if (rows === undefined) throw new TypeError("a change does not have one entry for each child of its RowSchema");
  return rows;
}

const PARENT = quoteIdentifier(PARENT_COLUMN);

function putText(target: ChildTarget, child: RowChild, resetColumns: readonly string[]): string {
  const positions = positionColumns(child.around.length + 1).map(quoteIdentifier);
  const columns = child.columns.map((column, index) => ({
    name: quoteIdentifier(column.name),
    value: castValue(column, `new.c${index}`),
    compared: comparedValue(column, `new.c${index}`),
  }));
  const aliases = [
    "key",
    "version",
    ...positions.map((_, index) => `p${index}`),
    ...columns.map((_, index) => `c${index}`),
  ];
  const parameters = aliases.map((_, index) => `$${index + 1}::text[]`);
  const table = quoteTable(target.table);
  const resets = resetColumns.map(quoteIdentifier);
  const oldTexts = columns.map(({ name }) => `old.${name}::text COLLATE "C"`);
  const assignments = [
    ...columns.map(({ name }) => `${name} = EXCLUDED.${name}`),
    ...resets.map((name) => `${name} = DEFAULT`),
  ];
  return `INSERT INTO ${table} (${[PARENT, ...positions, ...columns.map(({ name }) => name)].join(", ")})
SELECT ${['parent."_id"', ...positions.map((_, index) => `new.p${index}::integer`), ...columns.map(({ value }) => value)].join(", ")}
FROM unnest(${parameters.join(", ")}) AS new (${aliases.join(", ")})
${joinParent(target)}
LEFT JOIN LATERAL (
  SELECT * FROM ${table} AS old
  WHERE old.${PARENT} = parent."_id"${positions.map((name, index) => ` AND old.${name} = new.p${index}::integer`).join("")} OFFSET 0
) AS old ON true
WHERE old.${PARENT} IS NULL OR ROW(${oldTexts.join(", ")}) IS DISTINCT FROM ROW(${columns.map(({ compared }) => compared).join(", ")})
${resets.map((name) => `  OR old.${name} IS NOT NULL`).join("")}
ON CONFLICT (${[PARENT, ...positions].join(", ")}) DO UPDATE SET ${assignments.join(", ")}`;
}

/** As PostgreSQL prints it from the column: two numbers may be equal and have other digits. */
function comparedValue(column: RowColumn, value: string): string {
  const { base, sql } = parseColumnType(column.sqlType);
  const typed = base === "numeric" ? `${value}::${sql}` : castValue(column, value);
  return `(${typed})::text COLLATE "C"`;
}

/** @param level 1 for the array of the document @param levels how many the child has */
function cutText(target: ChildTarget, level: number, levels: number): string {
  const positions = positionColumns(level).map(quoteIdentifier);
  const around = positions.slice(0, -1);
  const aliases = ["key", "version", "length", ...around.map((_, index) => `p${index}`)];
  const parameters = aliases.map((_, index) => `$${index + 1}::text[]`);
  const table = quoteTable(target.table);
  const key = [PARENT, ...positionColumns(levels).map(quoteIdentifier)];
  // Only other programs write negative positions.
  const elementsWhose = (condition: string): string =>
    `SELECT * FROM ${table} AS old WHERE old.${PARENT} = parent."_id"${around.map((name, index) => ` AND old.${name} = new.p${index}::integer`).join("")} AND old.${positions.at(-1)} ${condition}`;
  return `DELETE FROM ${table} AS target USING (
  SELECT ${key.map((name) => `old.${name}`).join(", ")}
  FROM unnest(${parameters.join(", ")}) AS new (${aliases.join(", ")})
  ${joinParent(target)}
  CROSS JOIN LATERAL (
    ${[">= new.length::integer", "< 0"].map(elementsWhose).join("\n    UNION ALL ")} OFFSET 0
  ) AS old
  OFFSET 0
) AS beyond WHERE ${key.map((name) => `target.${name} = beyond.${name}`).join(" AND ")}`;
}

function joinParent({ parent, idType }: ChildTarget): string {
  return `JOIN ${quoteTable(parent)} AS parent ON parent."_id" = new.key::${keyColumnType(idType)} AND parent."_version" = new.version::bigint`;
}

function deleteText({ parent, table, idType }: ChildTarget): string {
  return `DELETE FROM ${quoteTable(table)} AS old USING unnest($1::text[]) AS gone (key)
WHERE old.${PARENT} = gone.key::${keyColumnType(idType)}
  AND NOT EXISTS (SELECT FROM ${quoteTable(parent)} AS parent WHERE parent."_id" = old.${PARENT})`;
}
