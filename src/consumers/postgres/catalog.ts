import type { TableName } from "../ports.ts";
import type { PostgresClient } from "./client.ts";
import type { PostgresSession, Query, Row } from "./session.ts";
import { quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";
import type { TableNeed } from "./table-needs.ts";

/** A schema as the catalog shows it to the user of the connection. */
export interface SchemaState {
  readonly exists: boolean;
  /** Whether the user may create tables in it or, where it does not exist, create it. */
  readonly canCreate: boolean;
  /** The user of the connection, quoted. */
  readonly user: string;
}

export interface ColumnState {
  readonly name: string;
  /** As format_type() writes it; of a domain the base type. */
  readonly sqlType: string;
  /** GENERATED ALWAYS: PostgreSQL refuses values for it. */
  readonly isGenerated: boolean;
  /** NOT NULL without a default. */
  readonly isRequired: boolean;
  /** Whether its collation treats only identical bytes as equal. */
  readonly isDeterministic: boolean;
}

/** A table as the catalog shows it to the user of the connection. */
export interface TableState {
  /** pg_class.relkind; `type` where a type without a relation has the name. */
  readonly kind: string;
  readonly isOwned: boolean;
  /** Whether the user may SELECT, INSERT, UPDATE and DELETE. */
  readonly isWritable: boolean;
  /** Whether row-level security applies to the user. */
  readonly hasRowSecurity: boolean;
  /** Whether the columns of the key, and no others, have a unique index that ON CONFLICT can use. */
  readonly hasUniqueKey: boolean;
  /** Whether it has a foreign key to the table that it should reference. */
  readonly hasForeignKey: boolean;
  readonly hasPrimaryKey: boolean;
  /** UNLOGGED: after a crash of the server it is empty. */
  readonly isUnlogged: boolean;
  /** See `rulesOf`. */
  readonly rules: readonly string[];
  readonly columns: readonly ColumnState[];
}

/**
 * SQL for the file of a table, which changes when the table is truncated or rewritten. Of a partitioned table, a hash of
 * its partitions' files.
 * @param oid SQL for the table's oid
 */
export function fileNodeOf(oid: string): string {
  const files = "string_agg(pg_relation_filenode(relid)::text, ',' ORDER BY relid)";
  const hash = `('x' || left(md5(${files}), 8))::bit(32)::bigint::oid`;
  return `COALESCE(pg_relation_filenode(${oid}), (SELECT ${hash} FROM pg_partition_tree(${oid}) WHERE isleaf))`;
}

/**
 * SQL for the names of a table's rules (CREATE RULE) that change what Headrace's statements do. Of most such rules PostgreSQL
 * refuses the statements, others leave rows out without an error. An upsert is also refused for an ON UPDATE rule that is
 * disabled. pg_rewrite.ev_type: 1 SELECT, 2 UPDATE, 3 INSERT, 4 DELETE.
 * @param oid SQL for the table's oid
 */
export function rulesOf(oid: string): string {
  return `ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = ${oid} AND (ev_type = '2' OR ev_type IN ('3', '4')
  AND ev_enabled IN ('A', CASE current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END)) ORDER BY 1)`;
}

/** SQL for whether the table of a child is not the one that is known. @param known alias of a row of `headrace.children` */
export function isOtherChild(known: string): string {
  const oid = `to_regclass(${known}.child)`;
  return `(${known}.table_oid IS DISTINCT FROM ${oid}::oid OR ${known}.file_node IS DISTINCT FROM ${fileNodeOf(oid)})`;
}

const SCHEMA_STATE = `
SELECT namespace.oid IS NOT NULL AS exists,
  COALESCE(has_schema_privilege(namespace.oid, 'CREATE') AND has_schema_privilege(namespace.oid, 'USAGE'),
    has_database_privilege(current_database(), 'CREATE')) AS "canCreate", quote_ident(current_user) AS user
FROM (SELECT $1::text AS name) AS wanted LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.name`;

const TABLE_STATE = `
SELECT class.relkind::text AS kind,
  pg_has_role(class.relowner, 'USAGE') AS "isOwned",
  has_table_privilege(class.oid, 'SELECT') AND has_table_privilege(class.oid, 'INSERT')
    AND has_table_privilege(class.oid, 'UPDATE') AND has_table_privilege(class.oid, 'DELETE')
    AND has_schema_privilege(namespace.oid, 'USAGE') AS "isWritable",
  row_security_active(class.oid) AS "hasRowSecurity",
  EXISTS (
    SELECT FROM pg_index AS index
    WHERE index.indrelid = class.oid AND index.indisunique AND index.indisvalid AND index.indimmediate
      AND index.indpred IS NULL AND index.indexprs IS NULL AND index.indnkeyatts = cardinality($3::text[])
      AND (SELECT count(*) FROM pg_attribute AS column_ WHERE column_.attrelid = class.oid
        AND column_.attname = ANY ($3) AND column_.attnum = ANY ((index.indkey::int2[])[0:index.indnkeyatts - 1]))
        = cardinality($3)) AS "hasUniqueKey",
  EXISTS (SELECT FROM pg_constraint WHERE conrelid = class.oid AND contype = 'f' AND confrelid = to_regclass($4)) AS "hasForeignKey",
  EXISTS (SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary) AS "hasPrimaryKey",
  class.relpersistence = 'u' AS "isUnlogged",
  ${rulesOf("class.oid")} AS rules,
  ARRAY(
    SELECT json_build_object('name', column_.attname,
      'sqlType', CASE type.typtype WHEN 'd' THEN format_type(type.typbasetype, type.typtypmod)
        ELSE format_type(column_.atttypid, column_.atttypmod) END,
      'isGenerated', column_.attgenerated <> '' OR column_.attidentity = 'a',
      'isRequired', column_.attnotnull AND NOT column_.atthasdef AND column_.attidentity = '',
      'isDeterministic', COALESCE(collation_.collisdeterministic, true))
    FROM pg_attribute AS column_ JOIN pg_type AS type ON type.oid = column_.atttypid
      LEFT JOIN pg_collation AS collation_ ON collation_.oid = column_.attcollation
    WHERE column_.attrelid = class.oid AND column_.attnum > 0 AND NOT column_.attisdropped
    ORDER BY column_.attnum) AS columns
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = $1 AND class.relname = $2
UNION ALL
SELECT 'type', pg_has_role(type.typowner, 'USAGE'), false, false, false, false, false, false, ARRAY[]::text[], ARRAY[]::json[]
FROM pg_type AS type JOIN pg_namespace AS namespace ON namespace.oid = type.typnamespace
WHERE namespace.nspname = $1 AND type.typname = $2 AND type.typrelid = 0
  -- PostgreSQL renames the array type of another type.
  AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = type.oid)`;

/**
 * Names a database of a server, whatever the address that leads to it; a standby of the server has the same. Without the
 * right to read the server's identifier, which is everybody's by default, databases of one name are the same.
 */
export async function readDatabaseIdentity(client: PostgresClient): Promise<string> {
  const [rights] = await client.run({
    text: "SELECT current_database() AS database, has_function_privilege('pg_control_system()', 'EXECUTE') AS allowed",
  });
  const { database, allowed } = rights?.rows[0] ?? {};
  if (allowed !== true) return JSON.stringify([database]);
  const [control] = await client.run({ text: "SELECT system_identifier::text AS server FROM pg_control_system()" });
  return JSON.stringify([database, control?.rows[0]?.["server"]]);
}

export async function readSchemaState(session: PostgresSession, schema: string): Promise<SchemaState> {
  const [row] = await rowsOf(session, { text: SCHEMA_STATE, values: [schema] });
  return row as unknown as SchemaState;
}

/** Undefined where no table, view, sequence or type has the name. */
export async function readTableState(
  session: PostgresSession,
  { table, key, references }: TableNeed,
): Promise<TableState | undefined> {
  const values = [table.schema, table.table, key, references === null ? null : quoteTable(references)];
  const [row] = await rowsOf(session, { text: TABLE_STATE, values });
  return row as unknown as TableState | undefined;
}

/** pg_trigger.tgtype: 1 row, 2 BEFORE, 4 INSERT, 8 DELETE, 16 UPDATE. PostgreSQL's own functions, in C, leave no row out. */
const SKIPPING_TRIGGERS = `
SELECT format('%I (BEFORE %s)', trigger.tgname, concat_ws(' OR ',
  CASE WHEN trigger.tgtype & 4 <> 0 THEN 'INSERT' END, CASE WHEN trigger.tgtype & 16 <> 0 THEN 'UPDATE' END,
  CASE WHEN trigger.tgtype & 8 <> 0 THEN 'DELETE' END)) AS name
FROM pg_trigger AS trigger JOIN pg_proc AS function ON function.oid = trigger.tgfoid
  JOIN pg_language AS language ON language.oid = function.prolang
WHERE (trigger.tgrelid = to_regclass($1) OR trigger.tgrelid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))))
  AND NOT trigger.tgisinternal AND trigger.tgenabled IN ('O', 'A') AND trigger.tgtype & 3 = 3
  AND language.lanname NOT IN ('internal', 'c') AND (language.lanname <> 'plpgsql'
    OR function.prosrc ~* '\\mreturn\\s+null\\M'
    OR trigger.tgtype & 8 <> 0 AND function.prosrc !~* '\\mreturn\\s+old\\M')
GROUP BY name ORDER BY name`;

/**
 * The triggers that may leave rows out, each with its events. A function in PL/pgSQL may where it has RETURN NULL; of a
 * delete, where it does not return OLD, as NEW is NULL then.
 */
export async function readSkippingTriggers(session: PostgresSession, table: TableName): Promise<readonly string[]> {
  const rows = await rowsOf(session, { text: SKIPPING_TRIGGERS, values: [quoteTable(table)] });
  return rows.map((row) => String(row["name"]));
}

export interface UniqueColumn {
  readonly name: string;
  readonly isNullable: boolean;
}

const UNIQUE_COLUMNS = `
SELECT column_.attname AS name, NOT column_.attnotnull AS "isNullable"
FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
  JOIN pg_attribute AS column_ ON column_.attrelid = index.indrelid
    AND column_.attnum = ANY ((index.indkey::int2[])[0:index.indnkeyatts - 1])
WHERE index.indrelid = to_regclass($1) AND class.relname = $2 AND index.indisunique AND index.indexprs IS NULL`;

/** The columns of a unique index; none where it has expressions. */
export async function readUniqueColumns(
  session: PostgresSession,
  table: TableName,
  index: string,
): Promise<readonly UniqueColumn[]> {
  return (await rowsOf(session, {
    text: UNIQUE_COLUMNS,
    values: [quoteTable(table), index],
  })) as unknown as readonly UniqueColumn[];
}

/** The columns of a table that records of any RowSchema have filled. */
export async function readFilledColumns(
  session: PostgresSession,
  internalSchema: string,
  table: TableName,
): Promise<readonly string[]> {
  const text = `SELECT name FROM ${quoteIdentifier(internalSchema)}.columns WHERE relation = $1 ORDER BY name`;
  const rows = await rowsOf(session, { text, values: [quoteTable(table)] });
  return rows.map((row) => String(row["name"]));
}

/** What the register (`headrace.tables`) says of a table, as far as preparing the table needs it. */
export interface RegisteredState {
  /** Null until the first record has come. */
  readonly idType: string | null;
  /** False: the table was replaced, truncated or rewritten since. Null: it did not exist when it was registered. */
  readonly isSame: boolean | null;
}

/** Undefined where the register does not have the table. */
export async function readRegistered(
  session: PostgresSession,
  internalSchema: string,
  table: TableName,
): Promise<RegisteredState | undefined> {
  const text = `SELECT id_type AS "idType", table_oid = to_regclass(relation)
  AND file_node IS NOT DISTINCT FROM ${fileNodeOf("to_regclass(relation)")} AS "isSame"
FROM ${quoteIdentifier(internalSchema)}.tables WHERE relation = $1`;
  const [row] = await rowsOf(session, { text, values: [quoteTable(table)] });
  return row as unknown as RegisteredState | undefined;
}

async function rowsOf(session: PostgresSession, query: Query): Promise<readonly Row[]> {
  const [result] = await session.run(query);
  return result?.rows ?? [];
}
