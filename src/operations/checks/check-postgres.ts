import type { Config } from "../../config/config-schema.ts";
import { readSchemaState, readSkippingTriggers, readTableState } from "../../consumers/postgres/catalog.ts";
import type { TableState } from "../../consumers/postgres/catalog.ts";
import type { PostgresClient } from "../../consumers/postgres/client.ts";
import { planInternalTables } from "../../consumers/postgres/internal-tables.ts";
import type { PostgresSession, Row } from "../../consumers/postgres/session.ts";
import { quoteTable } from "../../consumers/postgres/sql/upsert-sql.ts";
import { childNeeds, documentNeed } from "../../consumers/postgres/table-needs.ts";
import { planTable } from "../../consumers/postgres/table-plan.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { rowSchemaOf } from "../../schemas/planned-rows.ts";
import { postgresClient } from "../connections.ts";
import { tableRefusals } from "../register/judged-tables.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult, CheckWarning } from "./check-result.ts";
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
    yield await runCheck("postgres", "has a database in UTF-8", () => checkEncoding(postgres));
    yield await runCheck("postgres", "accepts writes", () => checkWritable(postgres));
    yield await runCheck("postgres", "allows the user to keep Headrace's own tables in the schema headrace", () =>
      checkOwnTables(postgres),
    );
    for (const collection of planned) yield* checkTable(config, collection, postgres);
    yield* checkOwners(
      config,
      planned.map(({ config: { mapping } }) => mapping.collection),
      postgres,
    );
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

async function checkEncoding(postgres: PostgresClient): Promise<void> {
  const { encoding, name } = await one(
    postgres,
    "SELECT current_setting('server_encoding') AS encoding, quote_ident(current_database()) AS name",
  );
  if (encoding === "UTF8") return;
  throw new HeadraceError("POSTGRES_NOT_UTF8", {
    message: `The database ${String(name)} has the encoding ${String(encoding)}, which cannot hold every text of MongoDB.`,
  });
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

/** As a start plans them: rights to create are needed only for what is missing. */
async function checkOwnTables(postgres: PostgresClient): Promise<void> {
  const { problems } = await postgres.session((session) => planInternalTables(session, "headrace"));
  const [first] = problems;
  if (first !== undefined) throw first;
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
    const found = await postgres.session((session) => lookAtTables(session, config, { config: collection, idType }));
    problems = found.flatMap((each) => each.problems);
    const skipping = found.filter(({ triggers }) => triggers.length > 0);
    return skipping.length === 0 ? undefined : rowsLeftOut(skipping);
  });
  if (problems.length === 0) yield looked;
  for (const each of problems) yield await runCheck("postgres", what, () => Promise.reject(each));
}

interface LookedTable {
  readonly relation: string;
  readonly problems: readonly HeadraceError[];
  /** See `readSkippingTriggers`. */
  readonly triggers: readonly string[];
}

/** The collection's table, then those of its children. */
async function lookAtTables(
  session: PostgresSession,
  config: Config,
  { config: collection, idType }: Pick<PlannedCollection, "config" | "idType">,
): Promise<readonly LookedTable[]> {
  const table = { schema: config.postgres.schema, table: collection.table };
  const schema = await readSchemaState(session, table.schema);
  const rowSchemaFor = (type: IdType) => rowSchemaOf(schemaOf(config, collection, type));
  const state = await readTableState(session, documentNeed(table, rowSchemaFor(idType ?? "string")));
  const rowSchema = rowSchemaFor(idType ?? idTypeOfTable(state));
  const looked: LookedTable[] = [];
  for (const need of [documentNeed(table, rowSchema), ...childNeeds(table, rowSchema)]) {
    const { problems } = planTable(need, schema, await readTableState(session, need));
    const triggers = await readSkippingTriggers(session, need.table);
    looked.push({ relation: quoteTable(need.table), problems, triggers });
  }
  return looked;
}

/** PostgreSQL does not say so: fewer rows than were sent are also written where the table has newer ones. */
function rowsLeftOut(tables: readonly LookedTable[]): CheckWarning {
  const found = tables.map(
    ({ relation, triggers }) => `Triggers of ${relation} may leave rows out: ${triggers.join(", ")}.`,
  );
  return {
    message: `${found.join(" ")} A row for which such a trigger returns NULL is neither written nor a dead letter.`,
    remedy:
      "Let the trigger raise an exception instead, which makes the record a dead letter; for a delete let it return OLD. `headrace verify` finds the rows that are missing.",
  };
}

/** One result if no table belongs to another pipeline or source, otherwise one for each that does. */
async function* checkOwners(
  config: Config,
  collections: readonly string[],
  postgres: PostgresClient,
): AsyncGenerator<CheckResult> {
  const what = "has no table that belongs to another pipeline or collection, or has lost a column";
  let refused: readonly HeadraceError[] = [];
  const looked = await runCheck("postgres", what, async () => {
    refused = await tableRefusals(config, collections, postgres);
  });
  if (refused.length === 0) yield looked;
  for (const each of refused) yield await runCheck("postgres", what, () => Promise.reject(each));
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
