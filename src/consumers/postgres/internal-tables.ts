import { escapeLiteral } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import type { TableName } from "../ports.ts";
import { readSchemaState } from "./catalog.ts";
import type { SchemaState } from "./catalog.ts";
import type { PostgresSession } from "./client.ts";
import { createSchema } from "./table-plan.ts";
import type { TablePlan } from "./table-plan.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** Columns that name whose rows those of Headrace's own tables are. */
const KEY_COLUMNS = {
  /** A collection's table, as `quoteTable` writes it. */
  relation: 'text COLLATE "C"',
  topic: 'text COLLATE "C"',
  partition: "integer",
  offset: "bigint",
  /** A document's key, as text. */
  key: 'text COLLATE "C"',
  /** A column. */
  name: 'text COLLATE "C"',
} as const;

interface InternalTable {
  /** The primary key. Its first column tells whether the rows belong to a collection's table or to its topic. */
  readonly key: readonly ["relation" | "topic", ...(keyof typeof KEY_COLUMNS)[]];
  readonly columns: readonly string[];
  readonly storage?: string;
  readonly index?: string;
}

/** The one list of Headrace's own tables. Whatever forgets a table or a topic is made from it. */
const INTERNAL_TABLES = {
  /** Up to where each partition is applied. Free pages keep the updates of its few hot rows in place. */
  progress: { key: ["topic", "partition"], columns: ["next_offset bigint NOT NULL"], storage: "fillfactor = 20" },
  /** Deleted rows, with their versions. */
  tombstones: {
    key: ["relation", "key"],
    columns: ["version bigint NOT NULL", "deleted_at timestamptz NOT NULL"],
    index: "deleted_at",
  },
  /** Dead letters that are closed, by their origin. */
  dead_letters: {
    key: ["topic", "partition", "offset"],
    columns: [
      "attempts integer NOT NULL",
      "outcome text NOT NULL CHECK (outcome IN ('replayed', 'superseded', 'discarded'))",
      "relation text",
      "at timestamptz NOT NULL DEFAULT now()",
    ],
  },
  /** The newest truncate of each partition. */
  truncates: { key: ["relation", "topic", "partition"], columns: ["version bigint NOT NULL"] },
  /** The newest dead letter of a key. */
  unapplied: { key: ["relation", "key"], columns: ["version bigint NOT NULL"] },
  /** The newest truncate that all partitions have marked. */
  floors: { key: ["relation"], columns: ["version bigint NOT NULL", "swept boolean NOT NULL"] },
  /** Up to which version a table is complete. */
  watermark: {
    key: ["relation"],
    columns: [
      "version bigint NOT NULL",
      "source_time timestamptz NOT NULL",
      "updated_at timestamptz NOT NULL DEFAULT now()",
    ],
  },
  /** The columns that records have filled. */
  columns: { key: ["relation", "name"], columns: [] },
} as const satisfies Readonly<Record<string, InternalTable>>;

export type InternalTableName = keyof typeof INTERNAL_TABLES;

export const INTERNAL_TABLE_NAMES = Object.keys(INTERNAL_TABLES) as readonly InternalTableName[];

/** The tables whose rows belong to a collection's table (`relation`) or to its topic (`topic`). */
export function internalTablesOf(owner: "relation" | "topic"): readonly InternalTableName[] {
  return INTERNAL_TABLE_NAMES.filter((name) => INTERNAL_TABLES[name].key[0] === owner);
}

/** SQL that forgets a table and its topic, so that the topic is applied to a new table from its start. */
export function forgettingStatements(schema: string, table: TableName, topic: string): string {
  const deletes = (["relation", "topic"] as const).flatMap((owner) => {
    const value = escapeLiteral(owner === "relation" ? quoteTable(table) : topic);
    return internalTablesOf(owner).map(
      (name) => `DELETE FROM ${quoteIdentifier(schema)}.${name} WHERE ${owner} = ${value};`,
    );
  });
  return ["BEGIN;", ...deletes, "COMMIT;"].join(" ");
}

const STATE = `
SELECT class.relname AS name,
  has_schema_privilege(namespace.oid, 'USAGE') AND has_table_privilege(class.oid, 'SELECT')
    AND has_table_privilege(class.oid, 'INSERT') AND has_table_privilege(class.oid, 'UPDATE')
    AND has_table_privilege(class.oid, 'DELETE') AS "isWritable"
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = $1 AND class.relname = ANY ($2)`;

/** Plans the tables of Headrace's own that do not exist yet, and their schema. */
export async function planInternalTables(session: PostgresSession, schema: string): Promise<TablePlan> {
  const schemaState = await readSchemaState(session, schema);
  const [found] = await session.run({ text: STATE, values: [schema, INTERNAL_TABLE_NAMES] });
  const existing = new Map((found?.rows ?? []).map((row) => [String(row["name"]), row["isWritable"] === true]));
  const missing = INTERNAL_TABLE_NAMES.filter((name) => !existing.has(name));
  const closed = [...existing].filter(([, isWritable]) => !isWritable).map(([name]) => name);
  const problems = [
    ...(missing.length > 0 && !schemaState.canCreate ? [rightsMissing(schema, schemaState, "create")] : []),
    ...(closed.length > 0 ? [rightsMissing(schema, schemaState, "use")] : []),
  ];
  const ddl = [
    ...(schemaState.exists ? [] : [createSchema(schema)]),
    ...missing.flatMap((name) => createTable(`${quoteIdentifier(schema)}.${name}`, name)),
  ];
  return { ddl: missing.length > 0 ? ddl : [], problems };
}

function createTable(qualified: string, name: InternalTableName): readonly string[] {
  const { key, columns, storage, index }: InternalTable = INTERNAL_TABLES[name];
  const keyColumns = key.map((column) => `${quoteIdentifier(column)} ${KEY_COLUMNS[column]}`);
  const primaryKey = `PRIMARY KEY (${key.map(quoteIdentifier).join(", ")})`;
  const parameters = storage === undefined ? "" : ` WITH (${storage})`;
  const create = `CREATE TABLE ${qualified} (${[...keyColumns, ...columns, primaryKey].join(", ")})${parameters}`;
  return index === undefined ? [create] : [create, `CREATE INDEX ON ${qualified} (${index})`];
}

function rightsMissing(name: string, { exists, user }: SchemaState, what: "create" | "use"): HeadraceError {
  const schema = quoteIdentifier(name);
  const create = exists
    ? `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${user};`
    : `CREATE SCHEMA ${schema} AUTHORIZATION ${user};`;
  const use = `GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${user};`;
  return new HeadraceError("POSTGRES_RIGHTS_MISSING", {
    message: `The user of postgres.url may not ${what} Headrace's own tables in the schema "${name}".`,
    remedy: `Let a superuser or the owner of the schema run: ${what === "create" ? create : use}`,
  });
}
