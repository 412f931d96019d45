import { keyColumnType } from "../../../schemas/keys/document-key.ts";
import type { Change, RowSchema } from "../../../schemas/row-schema.ts";
import type { RowGroup } from "../../batches/fold-batch.ts";
import type { TableName } from "../../ports.ts";
import type { Query } from "../session.ts";
import { castValue, named } from "./statement-text.ts";
import { storedKey } from "./stored-key.ts";
import { columnArrays, textArray } from "./text-arrays.ts";

/** The statements that write rows of one RowSchema into one table. */
export interface TableStatements {
  readonly relation: string;
  readonly upsert: Query;
  /** How many parameters of `upsert` are arrays; the relation follows them. */
  readonly upsertArrays: number;
  /** For a table without tombstones: looking for them takes a tenth of the server's time. */
  readonly uncheckedUpsert: Query;
  readonly delete: Query;
  /**
   * Reads the newest stored version of a key (column `known`), also of a deleted row; NULL where there is none. In
   * `purged`, up to which version the table's deletes may be forgotten; NULL where none is.
   */
  readonly knownVersion: Query;
}

/** What the statements are built from. */
export interface StatementTarget {
  readonly table: TableName;
  readonly rowSchema: RowSchema;
  /**
   * Columns that only other RowSchemas of this table fill. An update resets them to their default, so that no value of an
   * older state of the document stays in them; the record's values for them are in its `_extra`. Columns that no
   * RowSchema has ever filled belong to the user, and are never written.
   */
  readonly resetColumns: readonly string[];
  /** The schema of Headrace's own tables. */
  readonly internalSchema: string;
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A table's name in SQL, and in the column `relation` of Headrace's own tables. */
export function quoteTable({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

/** The table that `quoteTable` has written so. */
export function parseTable(relation: string): TableName {
  const [, schema = "", table = ""] = /^"((?:[^"]|"")+)"\."((?:[^"]|"")+)"$/.exec(relation) ?? [];
  return { schema: schema.replaceAll('""', '"'), table: table.replaceAll('""', '"') };
}

/**
 * Builds the statements, once per table and RowSchema, for any number of rows. All parameters but the relation are arrays
 * with one element per row. The server casts them to the columns' types, without length or precision: a value that is
 * too long then fails at the assignment, where a cast to `varchar(n)` would truncate it silently.
 *
 * A row is written where neither the row nor its tombstone is newer than the change. The statements need the caller's lock
 * on the partition's progress: without it, an upsert could look at the tombstones before a concurrent delete of the same
 * key commits.
 */
export function buildStatements(target: StatementTarget): TableStatements {
  return {
    relation: quoteTable(target.table),
    upsert: named(upsertText(target, true)),
    upsertArrays: 2 + target.rowSchema.columns.length,
    uncheckedUpsert: named(upsertText(target, false)),
    delete: named(deleteText(target)),
    knownVersion: named(knownVersionText(target)),
  };
}

/** The parameters that every statement about keys has. */
export function keysAndVersions(changes: readonly Change[]): readonly Buffer[] {
  return [textArray(changes.map(({ key }) => key)), textArray(changes.map(({ version }) => String(version)))];
}

function upsertText(
  { table, rowSchema, resetColumns, internalSchema }: StatementTarget,
  looksAtTombstones: boolean,
): string {
  const columns = rowSchema.columns.map((column, index) => ({
    name: quoteIdentifier(column.name),
    parameter: `$${index + 3}::text[]`,
    alias: `c${index}`,
    value: castValue(column, `new.c${index}`),
  }));
  const names = ['"_id"', '"_version"', ...columns.map(({ name }) => name)];
  const parameters = ["$1::text[]", "$2::text[]", ...columns.map(({ parameter }) => parameter)];
  const aliases = ["key", "version", ...columns.map(({ alias }) => alias)];
  const values = [
    `new.key::${keyColumnType(rowSchema.idType)}`,
    "new.version::bigint",
    ...columns.map(({ value }) => value),
  ];
  const assignments = [
    '"_version" = EXCLUDED."_version"',
    ...columns.map(({ name }) => `${name} = EXCLUDED.${name}`),
    ...resetColumns.map((name) => `${quoteIdentifier(name)} = DEFAULT`),
  ];
  const newerThanTombstone = `
WHERE COALESCE((
  SELECT tombstone.version FROM ${quoteIdentifier(internalSchema)}.tombstones AS tombstone
  WHERE tombstone.relation = $${columns.length + 3}::text AND tombstone.key = ${storedKey("new.key")}), 0) <= new.version::bigint`;
  return `INSERT INTO ${quoteTable(table)} AS target (${names.join(", ")})
SELECT ${values.join(", ")}
FROM unnest(${parameters.join(", ")}) AS new (${aliases.join(", ")})${looksAtTombstones ? newerThanTombstone : ""}
ON CONFLICT ("_id") DO UPDATE SET ${assignments.join(", ")}
WHERE target."_version" IS NULL OR target."_version" <= EXCLUDED."_version"`;
}

function deleteText({ table, rowSchema, internalSchema }: StatementTarget): string {
  return `WITH gone AS (
  SELECT key, version::bigint AS version FROM unnest($2::text[], $3::text[]) AS parameters (key, version)
), deleted AS (
  DELETE FROM ${quoteTable(table)} AS target USING gone
  WHERE target."_id" = gone.key::${keyColumnType(rowSchema.idType)}
    AND (target."_version" IS NULL OR target."_version" <= gone.version)
)
INSERT INTO ${quoteIdentifier(internalSchema)}.tombstones AS known (relation, key, version, deleted_at)
SELECT $1::text, ${storedKey("key")}, version, now() FROM gone
ON CONFLICT (relation, key) DO UPDATE SET version = EXCLUDED.version, deleted_at = EXCLUDED.deleted_at
WHERE known.version < EXCLUDED.version`;
}

/** A row without a version was there before Headrace, and is older than every change. */
function knownVersionText({ table, rowSchema, internalSchema }: StatementTarget): string {
  return `SELECT greatest(
  (SELECT COALESCE("_version", -1) FROM ${quoteTable(table)} WHERE "_id" = $2::text::${keyColumnType(rowSchema.idType)}),
  (SELECT version FROM ${quoteIdentifier(internalSchema)}.tombstones WHERE relation = $1 AND key = ${storedKey("$2::text")})) AS known,
  (SELECT version FROM ${quoteIdentifier(internalSchema)}.purged WHERE relation = $1) AS purged`;
}

/**
 * Sets `freed` to NULL in rows that hold the values of a unique index that an upsert of the group needs, where the row is
 * outdated: the same transaction writes or deletes it, or a newer state of its document is a dead letter.
 * @param unique the columns of the index
 */
export function freeOutdated(
  { table, internalSchema }: Pick<StatementTarget, "table" | "internalSchema">,
  { rowSchema, upserts, deletes }: RowGroup,
  { unique, freed }: { readonly unique: ReadonlySet<string>; readonly freed: string },
): Query {
  const { columns, idType } = rowSchema;
  const parameters = columns.map((_, index) => `$${index + 3}::text[]`);
  const equal = columns.flatMap((column, index) =>
    unique.has(column.name) ? [`target.${quoteIdentifier(column.name)} = ${castValue(column, `new.c${index}`)}`] : [],
  );
  const [relation, keys, versions] = [3, 4, 5].map((place) => `$${columns.length + place}`);
  const id = 'target."_id"';
  const text = `UPDATE ${quoteTable(table)} AS target SET ${quoteIdentifier(freed)} = NULL
FROM unnest(${["$1::text[]", "$2::text[]", ...parameters].join(", ")})
  AS new (${["key", "version", ...columns.map((_, index) => `c${index}`)].join(", ")})
WHERE ${equal.join(" AND ")} AND ${id} <> new.key::${keyColumnType(idType)} AND (EXISTS (
  SELECT FROM unnest(${keys}::text[], ${versions}::text[]) AS own (key, version)
  WHERE own.key::${keyColumnType(idType)} = ${id} AND (target."_version" IS NULL OR target."_version" <= own.version::bigint)
) OR EXISTS (
  SELECT FROM ${quoteIdentifier(internalSchema)}.unapplied AS letter
  WHERE letter.relation = ${relation}::text AND letter.key = ${storedKey(`${id}::text`)}
    AND (target."_version" IS NULL OR target."_version" < letter.version)))`;
  const rows = upserts.map(({ cells }) => cells);
  const values = [...keysAndVersions(upserts), ...columnArrays(rows, columns.length)];
  return { text, values: [...values, quoteTable(table), ...keysAndVersions([...upserts, ...deletes])] };
}
