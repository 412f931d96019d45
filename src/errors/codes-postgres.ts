import type { ErrorTable } from "./error-table.ts";

/** Errors of PostgreSQL. `codes.ts` says how to add a code. */
export const POSTGRES_ERRORS = {
  POSTGRES_UNAVAILABLE: {
    kind: "retryable",
    meaning: "PostgreSQL cannot be reached, is starting or stopping, or closed the connection.",
    remedy:
      "Check that PostgreSQL is running and that this machine can reach it at postgres.url. Headrace continues as soon as it can.",
  },
  POSTGRES_CONNECT_FAILED: {
    kind: "fatal",
    meaning: "The driver cannot connect with the given postgres.url. The message gives the reason.",
    remedy: "Correct postgres.url; its TLS settings and its password belong to it.",
  },
  POSTGRES_LOGIN_REFUSED: {
    kind: "fatal",
    meaning: "PostgreSQL refuses the user or the password, or the database does not exist.",
    remedy:
      "Check user, password and database in postgres.url, and the server's pg_hba.conf. Create the database first.",
  },
  POSTGRES_RIGHTS_MISSING: {
    kind: "fatal",
    meaning: "The user of postgres.url lacks a right; the message names the object.",
    remedy:
      "Grant the user of postgres.url the missing right. docs/rights.md lists all rights, and `headrace check` names those that the consumers lack.",
  },
  POSTGRES_TOO_OLD: {
    kind: "fatal",
    meaning: "The server is older than PostgreSQL 14.",
    remedy: "Use PostgreSQL 14 or later.",
  },
  POSTGRES_NOT_UTF8: {
    kind: "fatal",
    meaning: "The database of postgres.url does not have the encoding UTF8. The texts of MongoDB are UTF-8.",
    remedy:
      "Create a database with `CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0;`, and name it in postgres.url.",
  },
  POSTGRES_READ_ONLY: {
    kind: "retryable",
    meaning: "The server accepts no writes: it is a standby or set to read-only.",
    remedy: "Set postgres.url to the address of the primary.",
  },
  POSTGRES_TIMEOUT: {
    kind: "retryable",
    meaning: "PostgreSQL ended a statement (57014) or a transaction (25P03, 25P04) that took too long.",
    remedy:
      "If it happens again, look in pg_stat_activity for what blocks the statement. Or raise postgres.statementTimeoutMs (57014) or PostgreSQL's transaction_timeout (25P04), or give the process more CPU (25P03).",
  },
  POSTGRES_LOCKED: {
    kind: "retryable",
    meaning: "Another session held a lock on the table for longer than Headrace waits.",
    remedy: "If it happens again, look in pg_locks and pg_stat_activity for the session that holds the lock.",
  },
  POSTGRES_CONFLICT: {
    kind: "retryable",
    meaning: "PostgreSQL ended a transaction because of a deadlock or a serialization failure.",
    remedy: "Nothing to do: Headrace tries again.",
  },
  POSTGRES_OUT_OF_RESOURCES: {
    kind: "retryable",
    meaning: "PostgreSQL has no disk space, memory or connections left.",
    remedy: "Give PostgreSQL more disk space, memory or connections, as the message says.",
  },
  POSTGRES_UNEXPECTED: {
    kind: "fatal",
    meaning: "PostgreSQL returned an SQLSTATE that Headrace does not handle, or its driver failed.",
    remedy: "Look up the SQLSTATE and find the cause in PostgreSQL's log. Correct it and start again.",
  },
  TABLE_CHANGED: {
    kind: "retryable",
    meaning: "Another session changed the table, or began to write other columns of it, at the same moment.",
    remedy: "Nothing to do: Headrace tries again.",
  },
  TABLE_REPLACED: {
    kind: "retryable",
    meaning: "Another table has taken the table's place, or it was truncated, rewritten or given to another pipeline.",
    remedy:
      "Nothing to do while a consumer runs: it compares the table with its register, and copies the collection again where needed. `dlq replay` does not wait for that: start or restart a consumer, then run it again.",
  },
  TABLE_DROPPED: {
    kind: "fatal",
    meaning:
      "A table that Headrace has written to no longer exists. A new table would lack all rows whose records are already applied.",
    remedy:
      "Restore the table and the schema headrace from the same backup. Or stop the consumers, run the SQL in the error, which makes Headrace forget the table, and start them again: they create the table and fill it from the topic's start.",
  },
  TABLE_OF_OTHER_PIPELINE: {
    kind: "fatal",
    meaning:
      "Another pipeline fills the table. Two pipelines in one table would delete each other's rows, so each table has one owner, which the register headrace.tables names.",
    remedy:
      "Give the collection another table in the config. If the other pipeline no longer runs, or was renamed, run `headrace take-over`: then this pipeline owns its tables, copies the collections again, and deletes the rows whose documents are gone.",
  },
  TABLE_OF_OTHER_SOURCE: {
    kind: "fatal",
    meaning: "The table holds another collection, or the same collection of another database.",
    remedy:
      "Correct mongodb.database or the table in the config. To fill the table from another collection of the same database, run `headrace take-over`: the collection is copied into it, and the rows whose documents are not in it are deleted. Tables of another database are not taken over: give the new database a pipeline name and tables of its own.",
  },
  COLUMN_DROPPED: {
    kind: "fatal",
    meaning:
      "Somebody dropped a column that Headrace fills. A new one would be NULL in all rows that no later change touches.",
    remedy:
      "Take the column out of the config, or let Headrace fill it again: run the SQL in the error and start the consumers, which let the collection be copied again.",
  },
  ID_TYPE_CHANGED: {
    kind: "fatal",
    meaning:
      "The `_id` type of a collection is not the one that its records and its table have. With another type each document would get a second row.",
    remedy:
      "Set idType back. To change it, stop the pipeline, run `headrace remove --collection NAME --tables`, and start it again: the collection is then copied into a new table.",
  },
  TABLE_DOES_NOT_FIT: {
    kind: "fatal",
    meaning:
      "An existing table cannot hold the collection, something else has the table's name, or PostgreSQL refused to create or extend a table. The message gives the reason: columns, a missing unique index, UNLOGGED, or rules and row-level security, which leave out or hide rows without an error.",
    remedy:
      "Run the SQL in the error, if it has some. Otherwise change the columns in the config, or create the table yourself. Headrace uses an existing table unchanged if it fits.",
  },
  TABLE_NOT_OWNED: {
    kind: "fatal",
    meaning: "The user of postgres.url may not create, extend or write to a table.",
    remedy: "Let the table's owner or a superuser run the SQL in the error.",
  },
  NAME_INVALID: {
    kind: "fatal",
    meaning: "PostgreSQL does not allow the name of a table or a column.",
    remedy: "Give it another name in the config: 1 to 63 bytes in UTF-8, without a NUL character.",
  },
  VALUE_REFUSED: {
    kind: "poison",
    meaning:
      "PostgreSQL refuses a value (SQLSTATE 22…): the column of the table is narrower than the column in the config.",
    remedy: "Change the document, or the column's type in the config and in the table. Then run `headrace dlq replay`.",
  },
  CONSTRAINT_VIOLATED: {
    kind: "poison",
    meaning:
      "A row violates a constraint of the table or the condition of a view (SQLSTATE 23…, 44000). Headrace retries foreign keys and unique constraints for some seconds first, because a record of another partition may be about to satisfy them. Later the consumer replays such dead letters by itself, at most every ten minutes.",
    remedy: "Correct the document, or drop the constraint or the view's condition. Then run `headrace dlq replay`.",
  },
  LIMIT_EXCEEDED: {
    kind: "poison",
    meaning: "A record is too large for an index or a row of PostgreSQL (SQLSTATE 54…).",
    remedy: "Make the document smaller, or close the dead letter with `headrace dlq discard`.",
  },
  TRIGGER_REFUSED: {
    kind: "poison",
    meaning:
      "A trigger of the table raised an exception: with the SQLSTATE P0001 or one of its own. One that other errors share and that pass by themselves (40001, 57014, 57P01 …) is retried for a minute first.",
    remedy: "Correct the document or the trigger. Then run `headrace dlq replay`.",
  },
  ROW_REFUSED: {
    kind: "poison",
    meaning:
      "PostgreSQL refuses a row with an SQLSTATE that Headrace does not expect, but accepts the same statement without rows. Mostly a trigger's function failed.",
    remedy:
      "Look up the SQLSTATE and find the cause in PostgreSQL's log. Correct it or the document. Then run `headrace dlq replay`.",
  },
} as const satisfies ErrorTable;
