import type { Pool } from "pg";
import type { Config } from "../config/config-schema.ts";
import { HeadraceError } from "../runtime/errors.ts";
import type { Logger } from "../runtime/logger.ts";
import { look } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";
import { postgresPool } from "./connections.ts";

/** Looks whether the sink can be written to. Reads only. */
export async function* checkPostgres(config: Config, logger: Logger): AsyncGenerator<CheckResult> {
  const pool = postgresPool(config, logger);
  const { schema } = config.postgres;
  try {
    const reachable = await look("postgres", "can be reached", async () => {
      await pool.query("SELECT 1");
    });
    yield reachable;
    if (reachable.problem !== null) return;
    yield await look("postgres", "is PostgreSQL 14 or later", () => checkVersion(pool));
    yield await look("postgres", "takes writes", () => checkWritable(pool));
    yield await look("postgres", `lets the user create tables in the schema ${schema}`, () =>
      checkSchema(pool, schema),
    );
    yield await look("postgres", "lets the user keep the progress in the schema headrace", () => checkOwnSchema(pool));
  } finally {
    await pool.end();
  }
}

const OLDEST_VERSION = 140_000;

async function checkVersion(pool: Pool): Promise<void> {
  const { number, text } = await one<{ number: number; text: string }>(
    pool,
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text",
  );
  if (number >= OLDEST_VERSION) return;
  throw problem("POSTGRES_TOO_OLD", `It is PostgreSQL ${text}.`, "Use PostgreSQL 14 or later.");
}

async function checkWritable(pool: Pool): Promise<void> {
  const { readonly } = await one<{ readonly: boolean }>(
    pool,
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS readonly",
  );
  if (!readonly) return;
  throw problem("POSTGRES_READ_ONLY", "It is a standby or set to read-only.", "Give the address of the primary.");
}

async function checkSchema(pool: Pool, schema: string): Promise<void> {
  const { found, allowed, user } = await one<{ found: boolean; allowed: boolean | null; user: string }>(
    pool,
    `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL AS found, current_user AS user,
       has_schema_privilege(to_regnamespace(quote_ident($1)), 'USAGE, CREATE') AS allowed`,
    [schema],
  );
  if (!found) {
    throw problem("SCHEMA_MISSING", `There is no schema ${schema}.`, `Create it: CREATE SCHEMA ${quoted(schema)};`);
  }
  if (allowed !== true) throw missingRight(user, `GRANT USAGE, CREATE ON SCHEMA ${quoted(schema)} TO ${quoted(user)};`);
}

async function checkOwnSchema(pool: Pool): Promise<void> {
  const { allowed, user, database, found } = await one<{
    allowed: boolean;
    user: string;
    database: string;
    found: boolean;
  }>(
    pool,
    `SELECT to_regnamespace('headrace') IS NOT NULL AS found, current_user AS user, current_database() AS database,
       CASE WHEN to_regnamespace('headrace') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
       ELSE has_schema_privilege(to_regnamespace('headrace'), 'USAGE, CREATE') END AS allowed`,
  );
  if (allowed) return;
  const grant = found ? "USAGE, CREATE ON SCHEMA headrace" : `CREATE ON DATABASE ${quoted(database)}`;
  throw missingRight(user, `GRANT ${grant} TO ${quoted(user)};`);
}

async function one<Row extends object>(pool: Pool, sql: string, values: unknown[] = []): Promise<Row> {
  const { rows } = await pool.query<Row>(sql, values);
  const [row] = rows;
  if (row === undefined) throw new Error("a query for one row gave none");
  return row;
}

function missingRight(user: string, grant: string): HeadraceError {
  return problem("POSTGRES_FORBIDDEN", `The user ${user} may not.`, `As an administrator: ${grant}`);
}

function problem(code: string, message: string, remedy: string): HeadraceError {
  return new HeadraceError(code, "fatal", { message, remedy });
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
