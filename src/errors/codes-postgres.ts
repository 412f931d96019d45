import type { ErrorTable } from "./error-table.ts";

/** PostgreSQL: see `codes.ts` for how to add a code. */
export const POSTGRES_ERRORS = {
  POSTGRES_UNAVAILABLE: {
    kind: "retryable",
    meaning: "PostgreSQL cannot be reached, is starting or stopping, or closed the connection.",
    remedy: "Check that PostgreSQL runs and can be reached at postgres.url; Headrace goes on by itself once it does.",
  },
  POSTGRES_CONNECT_FAILED: {
    kind: "fatal",
    meaning: "The driver cannot connect with what postgres.url says.",
    remedy: "Correct postgres.url (its TLS settings and password included).",
  },
  POSTGRES_LOGIN_REFUSED: {
    kind: "fatal",
    meaning: "PostgreSQL refuses the user, or has no such database.",
    remedy:
      "Check user, password and database in postgres.url, and the server's pg_hba.conf; the database has to exist.",
  },
  POSTGRES_RIGHTS_MISSING: {
    kind: "fatal",
    meaning: "The user of postgres.url lacks rights.",
    remedy: "Give the user of postgres.url the rights it lacks; headrace check names them.",
  },
  POSTGRES_TOO_OLD: {
    kind: "fatal",
    meaning: "The server is older than PostgreSQL 14.",
    remedy: "Use PostgreSQL 14 or later.",
  },
  POSTGRES_READ_ONLY: {
    kind: "retryable",
    meaning: "The server takes no writes, as a standby does.",
    remedy: "The server is a standby or set to read-only: let postgres.url name the primary.",
  },
  POSTGRES_TIMEOUT: {
    kind: "retryable",
    meaning: "PostgreSQL ended a statement (57014) or a transaction (25P03, 25P04) that took too long.",
    remedy:
      "If it repeats, look for what blocks the statement in pg_stat_activity, raise postgres.statementTimeoutMs (57014) or PostgreSQL's transaction_timeout (25P04), or give the process more CPU (25P03).",
  },
  POSTGRES_LOCKED: {
    kind: "retryable",
    meaning: "Somebody else holds a lock on the table for longer than is waited.",
    remedy: "If it repeats, look in pg_stat_activity for who holds the lock on the table.",
  },
  POSTGRES_CONFLICT: {
    kind: "retryable",
    meaning: "A deadlock or a serialization failure.",
    remedy: "Nothing has to be done: it is tried again.",
  },
  POSTGRES_OUT_OF_RESOURCES: {
    kind: "retryable",
    meaning: "PostgreSQL has no more disk, memory or connections.",
    remedy: "Give PostgreSQL more disk, memory or connections, as the condition says.",
  },
  POSTGRES_UNEXPECTED: {
    kind: "fatal",
    meaning: "PostgreSQL gave an SQLSTATE, or its driver an error, that Headrace has no rule for.",
    remedy: "Look up the SQLSTATE and PostgreSQL's own log for the cause, mend it, and start again.",
  },
  TABLE_CHANGED: {
    kind: "retryable",
    meaning: "Somebody else changed the table, or began to write other columns of it, at the same moment.",
    remedy: "Nothing has to be done: it is tried again.",
  },
  TABLE_DROPPED: {
    kind: "fatal",
    meaning:
      "A table that Headrace has filled is gone. A new one would lack every row whose records have been applied before.",
    remedy:
      "Restore the table and the schema headrace from the same backup; or let Headrace forget the table, by the statements that the error names, and fill a new one from the topic's start.",
  },
  TABLE_DOES_NOT_FIT: {
    kind: "fatal",
    meaning: "A table that exists already cannot hold the collection, or PostgreSQL refused to create or extend one.",
    remedy: "Change the mapping in the config, or create the table yourself; it is used as it is when it fits.",
  },
  TABLE_NOT_OWNED: {
    kind: "fatal",
    meaning: "The user of postgres.url may not do to a table what has to be done.",
    remedy: "Let the table's owner run the statements that the message names, or give that user the right to.",
  },
  NAME_INVALID: {
    kind: "fatal",
    meaning: "A table or a column has a name that PostgreSQL cannot have.",
    remedy: "Give it another one in the config: 1 to 63 bytes in UTF-8 and no NUL.",
  },
  VALUE_REFUSED: {
    kind: "poison",
    meaning: "PostgreSQL refuses a value (SQLSTATE 22…): the table's column is narrower than the mapping's.",
    remedy: "Change the column's type in the mapping and the table, or the document; then replay the dead letter.",
  },
  CONSTRAINT_VIOLATED: {
    kind: "poison",
    meaning:
      "A constraint of the table or the condition of a view refuses a row (SQLSTATE 23…, 44000). Foreign keys and unique constraints are tried again for some seconds first, as another partition may be about to mend them.",
    remedy: "Mend the document, or drop the constraint or the view's condition; then replay the dead letter.",
  },
  LIMIT_EXCEEDED: {
    kind: "poison",
    meaning: "A record is too large for an index or a row of PostgreSQL (SQLSTATE 54…).",
    remedy: "Make the document smaller, or discard the dead letter.",
  },
  TRIGGER_REFUSED: {
    kind: "poison",
    meaning: "A trigger of the table raised an exception (SQLSTATE P0001).",
    remedy: "Mend the document or the trigger, then replay the dead letter.",
  },
} as const satisfies ErrorTable;
