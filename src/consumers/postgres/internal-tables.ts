import { HeadraceError } from "../../errors/error.ts";
import { readSchemaState } from "./catalog.ts";
import type { PostgresSession } from "./client.ts";
import { createSchema } from "./table-plan.ts";
import type { TablePlan } from "./table-plan.ts";
import { quoteIdentifier } from "./upsert-sql.ts";

/** Headrace's own tables: name and definition. Free pages keep the updates of the few hot rows of `progress` in place. */
const DEFINITIONS: Readonly<Record<string, string>> = {
  progress: `(topic text COLLATE "C", partition integer, next_offset bigint NOT NULL, PRIMARY KEY (topic, partition))
    WITH (fillfactor = 20)`,
  tombstones: `(relation text COLLATE "C", key text COLLATE "C", version bigint NOT NULL,
    deleted_at timestamptz NOT NULL, PRIMARY KEY (relation, key))`,
  dead_letters: `(topic text COLLATE "C", partition integer, "offset" bigint, attempts integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('replayed', 'superseded', 'discarded')), relation text,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (topic, partition, "offset"))`,
  truncates: `(relation text COLLATE "C", topic text COLLATE "C", partition integer, version bigint NOT NULL,
    PRIMARY KEY (relation, topic, partition))`,
  unapplied: `(relation text COLLATE "C", key text COLLATE "C", version bigint NOT NULL, PRIMARY KEY (relation, key))`,
  floors: `(relation text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, swept boolean NOT NULL)`,
  watermark: `(relation text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, source_time timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now())`,
  columns: `(relation text COLLATE "C", name text COLLATE "C", PRIMARY KEY (relation, name))`,
};

const INDEXES = { tombstones: "(deleted_at)" } as const;

const STATE = `
SELECT class.relname AS name,
  has_schema_privilege(namespace.oid, 'USAGE') AND has_table_privilege(class.oid, 'SELECT')
    AND has_table_privilege(class.oid, 'INSERT') AND has_table_privilege(class.oid, 'UPDATE')
    AND has_table_privilege(class.oid, 'DELETE') AS "isWritable"
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = $1 AND class.relname = ANY ($2)`;

/** Plans the schema of Headrace's own tables, whatever part of it exists. */
export async function planInternalTables(session: PostgresSession, schema: string): Promise<TablePlan> {
  const schemaState = await readSchemaState(session, schema);
  const [found] = await session.run({ text: STATE, values: [schema, Object.keys(DEFINITIONS)] });
  const existing = new Map((found?.rows ?? []).map((row) => [String(row["name"]), row["isWritable"] === true]));
  const missing = Object.keys(DEFINITIONS).filter((name) => !existing.has(name));
  const closed = [...existing].filter(([, isWritable]) => !isWritable).map(([name]) => name);
  const problems = [
    ...(missing.length > 0 && !schemaState.canCreate ? [rightsMissing(schema, "create")] : []),
    ...(closed.length > 0 ? [rightsMissing(schema, "use")] : []),
  ];
  const ddl = [
    ...(schemaState.exists ? [] : [createSchema(schema)]),
    ...missing.flatMap((name) => createTable(`${quoteIdentifier(schema)}.${name}`, name)),
  ];
  return { ddl: missing.length > 0 ? ddl : [], problems };
}

function createTable(qualified: string, name: string): readonly string[] {
  const create = `CREATE TABLE ${qualified} ${DEFINITIONS[name]}`;
  return name in INDEXES ? [create, `CREATE INDEX ON ${qualified} ${INDEXES[name as keyof typeof INDEXES]}`] : [create];
}

function rightsMissing(schema: string, what: "create" | "use"): HeadraceError {
  return new HeadraceError("POSTGRES_RIGHTS_MISSING", {
    message: `The user of postgres.url may not ${what} Headrace's own tables in the schema "${schema}".`,
    remedy: `Let the schema's owner, or a superuser, run: CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}; ALTER SCHEMA ${quoteIdentifier(schema)} OWNER TO …; the tables in it have to be that user's too.`,
  });
}
