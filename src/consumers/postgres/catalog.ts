import type { TableName } from "../ports.ts";
import type { PostgresSession, Query, Row } from "./client.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

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
  /** pg_class.relkind */
  readonly kind: string;
  readonly isOwned: boolean;
  /** Whether the user may SELECT, INSERT, UPDATE and DELETE. */
  readonly isWritable: boolean;
  /** Whether row-level security applies to the user. */
  readonly hasRowSecurity: boolean;
  /** Whether "_id" alone has a unique index that ON CONFLICT can use. */
  readonly hasUniqueId: boolean;
  readonly hasPrimaryKey: boolean;
  readonly columns: readonly ColumnState[];
}

const SCHEMA_STATE = `
SELECT namespace.oid IS NOT NULL AS exists,
  COALESCE(has_schema_privilege(namespace.oid, 'CREATE') AND has_schema_privilege(namespace.oid, 'USAGE'),
    has_database_privilege(current_database(), 'CREATE')) AS "canCreate", quote_ident(current_user) AS user
FROM (SELECT $1::text AS name) AS wanted LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.name`;

const TABLE_STATE = `
SELECT class.relkind AS kind,
  pg_has_role(class.relowner, 'USAGE') AS "isOwned",
  has_table_privilege(class.oid, 'SELECT') AND has_table_privilege(class.oid, 'INSERT')
    AND has_table_privilege(class.oid, 'UPDATE') AND has_table_privilege(class.oid, 'DELETE')
    AND has_schema_privilege(namespace.oid, 'USAGE') AS "isWritable",
  row_security_active(class.oid) AS "hasRowSecurity",
  EXISTS (
    SELECT FROM pg_index AS index JOIN pg_attribute AS column_ ON column_.attrelid = class.oid
    WHERE index.indrelid = class.oid AND column_.attname = '_id' AND column_.attnum = index.indkey[0]
      AND index.indnkeyatts = 1 AND index.indisunique AND index.indisvalid AND index.indimmediate
      AND index.indpred IS NULL AND index.indexprs IS NULL) AS "hasUniqueId",
  EXISTS (SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary) AS "hasPrimaryKey",
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
WHERE namespace.nspname = $1 AND class.relname = $2`;

export async function readSchemaState(session: PostgresSession, schema: string): Promise<SchemaState> {
  const [row] = await rowsOf(session, { text: SCHEMA_STATE, values: [schema] });
  return row as unknown as SchemaState;
}

/** Undefined where no table, view or sequence has the name. */
export async function readTableState(session: PostgresSession, table: TableName): Promise<TableState | undefined> {
  const [row] = await rowsOf(session, { text: TABLE_STATE, values: [table.schema, table.table] });
  return row as unknown as TableState | undefined;
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

async function rowsOf(session: PostgresSession, query: Query): Promise<readonly Row[]> {
  const [result] = await session.run(query);
  return result?.rows ?? [];
}
