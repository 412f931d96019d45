import type { Config } from "../../config/config-schema.ts";
import { readSchemaState, readTableState } from "../../consumers/postgres/catalog.ts";
import type { SchemaState, TableState } from "../../consumers/postgres/catalog.ts";
import type { PostgresClient, Row } from "../../consumers/postgres/client.ts";
import { planTable } from "../../consumers/postgres/table-plan.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { postgresClient } from "../connections.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";
import { schemaOf } from "./planned-collections.ts";
import type { PlannedCollection } from "./planned-collections.ts";

/** Checks that PostgreSQL accepts writes and that the tables fit. Only reads. */
export async function* checkPostgres(
  config: Config,
  planned: readonly PlannedCollection[],
): AsyncGenerator<CheckResult> {
  const postgres = postgresClient(config);
  try {
    const reachable = await runCheck("postgres", "is reachable", async () => {
      await one(postgres, "SELECT 1");
    });
    yield reachable;
    if (reachable.problem !== null) return;
    yield await runCheck("postgres", "is PostgreSQL 14 or later", () => checkVersion(postgres));
    yield await runCheck("postgres", "accepts writes", () => checkWritable(postgres));
    yield await runCheck("postgres", "allows the user to keep Headrace's own tables in the schema headrace", () =>
      checkOwnSchema(postgres),
    );
    for (const collection of planned) yield* checkTable(config, collection, postgres);
  } finally {
    await postgres.close();
  }
}

const OLDEST_VERSION = 140_000;

async function checkVersion(postgres: PostgresClient): Promise<void> {
  const { number, text } = await one(
    postgres,
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text",
  );
  if (Number(number) >= OLDEST_VERSION) return;
  throw problem("POSTGRES_TOO_OLD", `The server runs PostgreSQL ${String(text)}.`, "Use PostgreSQL 14 or later.");
}

async function checkWritable(postgres: PostgresClient): Promise<void> {
  const { isReadOnly } = await one(
    postgres,
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS "isReadOnly"`,
  );
  if (isReadOnly !== true) return;
  throw problem(
    "POSTGRES_READ_ONLY",
    "The server is a standby, or it is set to read-only.",
    "Set postgres.url to the address of the primary.",
  );
}

async function checkOwnSchema(postgres: PostgresClient): Promise<void> {
  const { exists, canCreate } = await postgres.session((session) => readSchemaState(session, "headrace"));
  if (canCreate) return;
  const { user, database } = await one(
    postgres,
    "SELECT quote_ident(current_user) AS user, quote_ident(current_database()) AS database",
  );
  const right = exists ? "USAGE, CREATE ON SCHEMA headrace" : `CREATE ON DATABASE ${String(database)}`;
  throw problem(
    "POSTGRES_RIGHTS_MISSING",
    `The user ${String(user)} may not create ${exists ? "tables in the schema" : "the schema"} headrace.`,
    `Run as an administrator of PostgreSQL: GRANT ${right} TO ${String(user)};`,
  );
}

/** One result if the table fits, otherwise one for each problem. */
async function* checkTable(
  config: Config,
  { config: collection, idType }: PlannedCollection,
  postgres: PostgresClient,
): AsyncGenerator<CheckResult> {
  const table = { schema: config.postgres.schema, table: collection.table };
  const what = `can store the collection ${collection.mapping.collection} in the table ${table.schema}.${table.table}`;
  let problems: readonly HeadraceError[] = [];
  const looked = await runCheck("postgres", what, async () => {
    const [schema, state] = await postgres.session(async (session): Promise<[SchemaState, TableState | undefined]> => [
      await readSchemaState(session, table.schema),
      await readTableState(session, table),
    ]);
    const { fields, idType: known } = schemaOf(config, collection, idType ?? idTypeOfTable(state));
    const columns = fields.map(({ column, type }) => ({ name: column, sqlType: type.sql }));
    ({ problems } = planTable({ table, rowSchema: { idType: known, columns } }, schema, state));
  });
  if (problems.length === 0) yield looked;
  for (const each of problems) yield await runCheck("postgres", what, () => Promise.reject(each));
}

/** The `_id` type of a table that existed before the collection's first document. */
function idTypeOfTable(state: TableState | undefined): IdType {
  const type = state?.columns.find(({ name }) => name === "_id")?.sqlType;
  if (type === "bigint" || type === "integer") return "integer";
  return type === "uuid" ? "uuid" : "string";
}

async function one(postgres: PostgresClient, text: string): Promise<Row> {
  const [result] = await postgres.run({ text });
  return result?.rows[0] ?? {};
}

function problem(code: ErrorCode, message: string, remedy: string): HeadraceError {
  return new HeadraceError(code, { kind: "fatal", message, remedy });
}
