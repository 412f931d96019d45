import { escapeLiteral } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import type { TableName } from "../ports.ts";
import { readSchemaState } from "./catalog.ts";
import type { SchemaState } from "./catalog.ts";
import type { PostgresSession, Row } from "./session.ts";
import { STORED_KEY_COLUMN, STORED_KEY_CONSTRAINT, storedKeyMigration } from "./sql/stored-key.ts";
import { quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";
import { createSchema } from "./table-plan.ts";
import type { TablePlan } from "./table-plan.ts";

/** The schema of Headrace's own tables. */
export const INTERNAL_SCHEMA = "headrace";

/** Columns that name whose rows those of Headrace's own tables are. */
const KEY_COLUMNS = {
  /** A collection's table, as `quoteTable` writes it. */
  relation: 'text COLLATE "C"',
  topic: 'text COLLATE "C"',
  partition: "integer",
  offset: "bigint",
  /** Of the topic, in Kafka. Empty where it is unknown, as in version 0.1.0. */
  topic_id: `text COLLATE "C" NOT NULL DEFAULT ''`,
  /** A document's key, as `storedKey` writes it. */
  key: STORED_KEY_COLUMN,
  /** Of a dead letter. */
  id: 'text COLLATE "C"',
  /** A column. */
  name: 'text COLLATE "C"',
  /** The table of a child, as `quoteTable` writes it. */
  child: 'text COLLATE "C"',
} as const;

interface InternalTable {
  /** The primary key. Its first column tells whether the rows belong to a collection's table or to its topic. */
  readonly key: readonly ["relation" | "topic", ...(keyof typeof KEY_COLUMNS)[]];
  readonly columns: readonly string[];
  /** Further columns, which the table of version 0.1.0 does not have. */
  readonly added?: Readonly<Record<string, string>>;
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
  /** The newest version among the tombstones that were deleted because of their age. */
  purged: { key: ["relation"], columns: ["version bigint NOT NULL"] },
  /** Dead letters that are closed, by their origin. */
  dead_letters: {
    key: ["topic", "partition", "offset", "topic_id"],
    columns: [
      "attempts integer NOT NULL",
      "outcome text NOT NULL CHECK (outcome IN ('replayed', 'superseded', 'discarded'))",
      "relation text",
      "at timestamptz NOT NULL DEFAULT now()",
    ],
  },
  /** Those that were open when a consumer last looked, without their records, by the collection's topic. */
  open_letters: {
    key: ["topic", "id"],
    columns: [
      'dlq_topic text COLLATE "C" NOT NULL',
      "dlq_partition integer NOT NULL",
      "dlq_offset bigint NOT NULL",
      "record_key bytea",
      "headers text NOT NULL",
      "written_at timestamptz NOT NULL",
    ],
  },
  /** The newest truncate of each partition. */
  truncates: { key: ["relation", "topic", "partition"], columns: ["version bigint NOT NULL"] },
  /** The newest dead letter of a key. */
  unapplied: { key: ["relation", "key"], columns: ["version bigint NOT NULL"] },
  /** The newest truncate that all partitions have marked. */
  floors: { key: ["relation"], columns: ["version bigint NOT NULL", "swept boolean NOT NULL"] },
  /** The register: what each table belongs to, and what it was when it was last looked at. See consumers/register. */
  tables: {
    key: ["relation"],
    columns: [
      "pipeline text NOT NULL",
      "database text NOT NULL",
      "collection text NOT NULL",
      'topic text COLLATE "C" NOT NULL',
      "topic_id text",
      "table_oid oid",
      "file_node oid",
      "register_oid oid NOT NULL",
      "id_type text",
      "copy_signal bigint",
      "registered_at timestamptz NOT NULL DEFAULT now()",
      "left_at timestamptz",
    ],
    index: "topic",
  },
  /** Up to which version a table is complete. */
  watermark: {
    key: ["relation"],
    columns: [
      "version bigint NOT NULL",
      "source_time timestamptz NOT NULL",
      "updated_at timestamptz NOT NULL DEFAULT now()",
    ],
    // Every transaction before it had ended when the table was the one that the register knows.
    added: { known_xid: "xid8" },
  },
  /** The columns that records have filled, with their numbers in pg_attribute. */
  columns: { key: ["relation", "name"], columns: [], added: { attnum: "smallint" } },
  /** The tables of children that records have filled, and what they were when the register last looked. */
  children: { key: ["relation", "child"], columns: ["table_oid oid", "file_node oid"] },
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
  const own = quoteIdentifier(schema);
  const ofChildren = `DELETE FROM ${own}.columns WHERE relation IN (SELECT child FROM ${own}.children WHERE relation = ${escapeLiteral(quoteTable(table))});`;
  return ["BEGIN;", ofChildren, ...deletes, "COMMIT;"].join(" ");
}

const STATE = `
SELECT class.relname AS name, pg_has_role(class.relowner, 'USAGE') AS "isOwned",
  EXISTS (SELECT FROM pg_constraint WHERE conrelid = class.oid AND conname = '${STORED_KEY_CONSTRAINT}') AS "hasStoredKeys",
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped) AS columns,
  key.name AS "keyName", key.columns AS "keyColumns",
  has_schema_privilege(namespace.oid, 'USAGE') AND has_table_privilege(class.oid, 'SELECT')
    AND has_table_privilege(class.oid, 'INSERT') AND has_table_privilege(class.oid, 'UPDATE')
    AND has_table_privilege(class.oid, 'DELETE') AS "isWritable"
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN LATERAL (
  SELECT conname::text AS name, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = class.oid AND attnum = ANY (conkey)) AS columns
  FROM pg_constraint WHERE conrelid = class.oid AND contype = 'p'
) AS key ON true
WHERE namespace.nspname = $1 AND class.relname = ANY ($2)`;

/** Plans the tables of Headrace's own that do not exist yet, their schema, and what those of version 0.1.0 lack. */
export async function planInternalTables(session: PostgresSession, schema: string): Promise<TablePlan> {
  const schemaState = await readSchemaState(session, schema);
  const [found] = await session.run({ text: STATE, values: [schema, INTERNAL_TABLE_NAMES] });
  const existing = new Map((found?.rows ?? []).map((row) => [String(row["name"]), row]));
  const missing = INTERNAL_TABLE_NAMES.filter((name) => !existing.has(name));
  const closed = [...existing.values()].filter((state) => state["isWritable"] !== true);
  const migrationsByTable = INTERNAL_TABLE_NAMES.map((name) => {
    const state = existing.get(name);
    return { name, ddl: state === undefined ? [] : migrationsOf(`${quoteIdentifier(schema)}.${name}`, name, state) };
  });
  const migrations = migrationsByTable.flatMap(({ ddl }) => ddl);
  const outdated = migrationsByTable.filter(({ ddl }) => ddl.length > 0).map(({ name }) => name);
  const problems = [
    ...(missing.length > 0 && !schemaState.canCreate ? [rightsMissing(schema, schemaState, "create")] : []),
    ...(closed.length > 0 ? [rightsMissing(schema, schemaState, "use")] : []),
    ...(outdated.some((name) => existing.get(name)?.["isOwned"] !== true) ? [notAltered(schema, migrations)] : []),
  ];
  const ddl = [
    ...(missing.length === 0 || schemaState.exists ? [] : [createSchema(schema)]),
    ...missing.flatMap((name) => createTable(`${quoteIdentifier(schema)}.${name}`, name)),
    ...(missing.includes("purged") && existing.has("tombstones") ? [assumePurged(quoteIdentifier(schema))] : []),
    ...migrations,
  ];
  return { ddl, problems };
}

/** Version 0.1.0 did not note what it purged: it may have been any delete up to now. */
function assumePurged(schema: string): string {
  return `INSERT INTO ${schema}.purged (relation, version)
SELECT relation, extract(epoch FROM now())::bigint << 32
FROM (SELECT relation FROM ${schema}.tombstones UNION SELECT relation FROM ${schema}.columns) AS known`;
}

/** What brings a table of an older version up to date. */
function migrationsOf(qualified: string, name: InternalTableName, state: Row): readonly string[] {
  const { added = {} }: InternalTable = INTERNAL_TABLES[name];
  const columns = new Set(state["columns"] as readonly string[]);
  return [
    ...keyMigration(qualified, name, state),
    ...(isKeyedByDocument(name) && state["hasStoredKeys"] === false ? storedKeyMigration(qualified) : []),
    ...Object.entries(added)
      .filter(([column]) => !columns.has(column))
      .map(([column, type]) => `ALTER TABLE ${qualified} ADD COLUMN ${column} ${type}`),
  ];
}

/**
 * Gives the table the columns of its key that an older version did not have in it: they had other columns, or NULL in
 * some. Locked, because another consumer may be writing to it.
 */
function keyMigration(
  qualified: string,
  name: InternalTableName,
  { columns, keyName, keyColumns }: Row,
): readonly string[] {
  const { key }: InternalTable = INTERNAL_TABLES[name];
  const isKeyed = new Set(keyColumns as readonly string[] | null);
  const missing = key.filter((column) => !isKeyed.has(column));
  if (missing.length === 0) return [];
  const exists = new Set(columns as readonly string[]);
  const dropKey = typeof keyName === "string" ? `DROP CONSTRAINT ${quoteIdentifier(keyName)}, ` : "";
  return [
    `LOCK TABLE ${qualified} IN ACCESS EXCLUSIVE MODE`,
    ...missing.flatMap((column) => [
      ...(exists.has(column) ? [`ALTER TABLE ${qualified} RENAME COLUMN ${column} TO former`] : []),
      `ALTER TABLE ${qualified} ADD COLUMN ${column} ${KEY_COLUMNS[column]}`,
      ...(exists.has(column)
        ? [
            `UPDATE ${qualified} SET ${column} = former WHERE former IS NOT NULL`,
            `ALTER TABLE ${qualified} DROP COLUMN former`,
          ]
        : []),
    ]),
    `ALTER TABLE ${qualified} ${dropKey}ADD ${primaryKey(key)}`,
  ];
}

function primaryKey(columns: InternalTable["key"]): string {
  return `PRIMARY KEY (${columns.map(quoteIdentifier).join(", ")})`;
}

function isKeyedByDocument(name: InternalTableName): boolean {
  const { key }: InternalTable = INTERNAL_TABLES[name];
  return key.includes("key");
}

function createTable(qualified: string, name: InternalTableName): readonly string[] {
  const { key, columns, added = {}, storage, index }: InternalTable = INTERNAL_TABLES[name];
  const addedColumns = Object.entries(added).map(([column, type]) => `${column} ${type}`);
  const keyColumns = key.map((column) => `${quoteIdentifier(column)} ${KEY_COLUMNS[column]}`);
  const parameters = storage === undefined ? "" : ` WITH (${storage})`;
  const create = `CREATE TABLE ${qualified} (${[...keyColumns, ...columns, ...addedColumns, primaryKey(key)].join(", ")})${parameters}`;
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

function notAltered(schema: string, migrations: readonly string[]): HeadraceError {
  return new HeadraceError("POSTGRES_RIGHTS_MISSING", {
    message: `Headrace's own tables in the schema "${schema}" are of an older version, and the user of postgres.url does not own them.`,
    remedy: `Stop all consumers and let the tables' owner run: BEGIN; ${migrations.map((each) => `${each};`).join(" ")} COMMIT;`,
  });
}
