import { DatabaseError } from "pg";
import { HeadraceError } from "../runtime/errors.ts";
import type { ErrorKind } from "../runtime/errors.ts";
import { networkCode } from "../runtime/network-codes.ts";

interface Classification {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly remedy: string;
}

const LOST: Classification = {
  kind: "retryable",
  code: "POSTGRES_UNAVAILABLE",
  remedy: "Check that PostgreSQL runs and can be reached at postgres.url; Headrace goes on by itself once it does.",
};

const UNEXPECTED: Classification = {
  kind: "fatal",
  code: "POSTGRES_UNEXPECTED",
  remedy: "Look up the SQLSTATE and PostgreSQL's own log for the cause, mend it, and start again.",
};

/**
 * SQLSTATEs and their prefixes, the longest match counts; what is not here is fatal. 25P03 and 25P04 end a session
 * that was idle in a transaction, or in one, for too long: a stalled process (ours), hence worth another try.
 */
const CLASSIFICATIONS: Readonly<Record<string, Classification>> = {
  "08": LOST,
  "57P0": LOST,
  "57014": {
    kind: "retryable",
    code: "POSTGRES_TIMEOUT",
    remedy:
      "If it repeats, look for what blocks the statement in pg_stat_activity, or raise postgres.statementTimeoutMs.",
  },
  "25P03": { kind: "retryable", code: "POSTGRES_TIMEOUT", remedy: "If it repeats, give the process more CPU." },
  "25P04": {
    kind: "retryable",
    code: "POSTGRES_TIMEOUT",
    remedy: "If it repeats, raise PostgreSQL's transaction_timeout.",
  },
  "55P03": {
    kind: "retryable",
    code: "POSTGRES_LOCKED",
    remedy: "If it repeats, look in pg_stat_activity for who holds the lock on the table.",
  },
  "40001": { kind: "retryable", code: "POSTGRES_CONFLICT", remedy: "Nothing has to be done: it is tried again." },
  "40P01": { kind: "retryable", code: "POSTGRES_CONFLICT", remedy: "Nothing has to be done: it is tried again." },
  "53": {
    kind: "retryable",
    code: "POSTGRES_OUT_OF_RESOURCES",
    remedy: "Give PostgreSQL more disk, memory or connections, as the condition says.",
  },
  "25006": {
    kind: "retryable",
    code: "POSTGRES_READ_ONLY",
    remedy: "The server is a standby or set to read-only: let postgres.url name the primary.",
  },
  "22": {
    kind: "poison",
    code: "VALUE_REFUSED",
    remedy: "Change the column's type in the mapping and the table, or the document; then replay the dead letter.",
  },
  "23": {
    kind: "poison",
    code: "CONSTRAINT_VIOLATED",
    remedy: "Mend the document or drop the constraint; then replay the dead letter.",
  },
  "44000": {
    kind: "poison",
    code: "CONSTRAINT_VIOLATED",
    remedy: "Mend the document or the view's condition; then replay the dead letter.",
  },
  "54": {
    kind: "poison",
    code: "LIMIT_EXCEEDED",
    remedy: "The record is too large for an index or a row of PostgreSQL; make it smaller, or discard the dead letter.",
  },
  P0001: {
    kind: "poison",
    code: "TRIGGER_REFUSED",
    remedy: "A trigger of the table refused the row; mend the document or the trigger, then replay the dead letter.",
  },
  "28": {
    kind: "fatal",
    code: "POSTGRES_LOGIN_REFUSED",
    remedy: "Check user, password and database in postgres.url, and the server's pg_hba.conf.",
  },
  "3D000": { kind: "fatal", code: "POSTGRES_LOGIN_REFUSED", remedy: "Create the database, or correct postgres.url." },
  "42501": {
    kind: "fatal",
    code: "POSTGRES_RIGHTS_MISSING",
    remedy: "Give the user of postgres.url the rights it lacks; headrace check names them.",
  },
};

/** The names that PostgreSQL's manual gives to the conditions that a sink meets most. */
const CONDITION_NAMES: Readonly<Record<string, string>> = {
  "22001": "string data right truncation",
  "22003": "numeric value out of range",
  "22007": "invalid datetime format",
  "22008": "datetime field overflow",
  "22021": "character not in repertoire",
  "22P02": "invalid text representation",
  "22P05": "untranslatable character",
  "23502": "not-null violation",
  "23503": "foreign key violation",
  "23505": "unique violation",
  "23514": "check violation",
  "23P01": "exclusion violation",
  "25006": "read-only transaction",
  "25P03": "idle-in-transaction session timeout",
  "25P04": "transaction timeout",
  "28000": "invalid authorization",
  "28P01": "invalid password",
  "3D000": "database does not exist",
  "3F000": "schema does not exist",
  "40001": "serialization failure",
  "40P01": "deadlock",
  "42501": "insufficient privilege",
  "42601": "syntax error",
  "42703": "undefined column",
  "42804": "datatype mismatch",
  "42P01": "undefined table",
  "42P10": "no unique index for the key",
  "44000": "view check option violation",
  "53100": "disk full",
  "53200": "out of memory",
  "53300": "too many connections",
  "54000": "program limit exceeded",
  "54011": "too many columns",
  "55P03": "lock not available",
  "57014": "query canceled",
  "57P01": "admin shutdown",
  "57P02": "crash shutdown",
  "57P03": "cannot connect now",
  P0001: "raised by a trigger",
};

/**
 * Classifies what the driver threw. The message of a PostgreSQL error is made anew of its code and of names:
 * the server's own message, detail and context quote values, so they, and the error as a cause, are dropped.
 * `details.sqlstate` tells the caller which poison to try again for some seconds first (23503, 23505): that depends on
 * time, which is not known here.
 * @param connectionLost whether the connection has been closed or broken: the driver's own errors about that have no code.
 */
export function classifyPostgresError(error: unknown, { connectionLost }: { connectionLost: boolean }): HeadraceError {
  if (error instanceof HeadraceError) return error;
  if (error instanceof DatabaseError && error.code !== undefined) return fromSqlState(error, error.code);
  const code = (error as { code?: unknown } | null)?.code;
  const network = networkCode(error);
  if (network !== null || (connectionLost && code === undefined)) {
    const message =
      network === null ? "The connection to PostgreSQL was lost." : `PostgreSQL can't be reached (${network}).`;
    return new HeadraceError(LOST.code, LOST.kind, { message, remedy: LOST.remedy }, error);
  }
  const message = `PostgreSQL's driver failed${typeof code === "string" ? ` (${code})` : ""}.`;
  return new HeadraceError(UNEXPECTED.code, UNEXPECTED.kind, { message, remedy: UNEXPECTED.remedy }, error);
}

/** The SQLSTATE of a classified error; undefined where PostgreSQL did not give one. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof HeadraceError ? error.details["sqlstate"] : undefined;
}

function fromSqlState(error: DatabaseError, sqlstate: string): HeadraceError {
  const { kind, code, remedy } = classificationOf(sqlstate);
  const { schema, table, column, constraint, dataType, routine } = error;
  const details = defined({ sqlstate, schema, table, column, constraint, dataType, routine });
  return new HeadraceError(code, kind, { message: describe(sqlstate, details), remedy, details });
}

function classificationOf(sqlstate: string): Classification {
  for (let length = sqlstate.length; length >= 2; length--) {
    const found = CLASSIFICATIONS[sqlstate.slice(0, length)];
    if (found !== undefined) return found;
  }
  return UNEXPECTED;
}

function describe(sqlstate: string, details: Readonly<Record<string, string>>): string {
  const name = CONDITION_NAMES[sqlstate];
  const where = ["table", "column", "constraint", "dataType"]
    .filter((field) => details[field] !== undefined)
    .map((field) => `${field === "dataType" ? "type" : field} "${details[field]}"`);
  return `PostgreSQL: ${sqlstate}${name === undefined ? "" : ` (${name})`}${where.length === 0 ? "" : `, ${where.join(", ")}`}.`;
}

function defined(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
