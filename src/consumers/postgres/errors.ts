import { DatabaseError } from "pg";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import { networkCode } from "../../runtime/network-codes.ts";

/**
 * Codes by SQLSTATE or its prefix. The longest match counts; everything else is fatal. 25P03 and 25P04 end the session
 * of a process that stalled in a transaction. That process is Headrace, so it is worth another try.
 */
const BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  "08": "POSTGRES_UNAVAILABLE",
  "57P0": "POSTGRES_UNAVAILABLE",
  "57014": "POSTGRES_TIMEOUT",
  "25P03": "POSTGRES_TIMEOUT",
  "25P04": "POSTGRES_TIMEOUT",
  "55P03": "POSTGRES_LOCKED",
  "40001": "POSTGRES_CONFLICT",
  "40P01": "POSTGRES_CONFLICT",
  "53": "POSTGRES_OUT_OF_RESOURCES",
  "25006": "POSTGRES_READ_ONLY",
  "22": "VALUE_REFUSED",
  "23": "CONSTRAINT_VIOLATED",
  "44000": "CONSTRAINT_VIOLATED",
  "54": "LIMIT_EXCEEDED",
  P0001: "TRIGGER_REFUSED",
  "28": "POSTGRES_LOGIN_REFUSED",
  "3D000": "POSTGRES_LOGIN_REFUSED",
  "42501": "POSTGRES_RIGHTS_MISSING",
};

/** The names in PostgreSQL's manual of the conditions that a sink meets most. */
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
 * Classifies an error of the driver. The server's own message, detail and context quote values. So they are dropped,
 * also as a cause, and the message is built from the SQLSTATE and from names. `details.sqlstate` lets the caller retry
 * some poison first (23503, 23505).
 * @param connectionLost whether the connection is closed or broken; the driver's errors about that have no code
 */
export function classifyPostgresError(error: unknown, { connectionLost }: { connectionLost: boolean }): HeadraceError {
  if (error instanceof HeadraceError) return error;
  if (error instanceof DatabaseError && error.code !== undefined) return fromSqlState(error, error.code);
  const code = driverCode(error);
  const network = networkCode(error);
  if (network !== null || (connectionLost && code === undefined)) {
    const message =
      network === null ? "The connection to PostgreSQL was lost." : `Cannot reach PostgreSQL (${network}).`;
    return new HeadraceError("POSTGRES_UNAVAILABLE", { message }, error);
  }
  const message = `PostgreSQL's driver failed${code === undefined ? "" : ` (${code})`}.`;
  return new HeadraceError("POSTGRES_UNEXPECTED", { message }, error);
}

/** The code of an error of the driver or of Node. */
function driverCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The SQLSTATE of a classified error; undefined where it has none. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof HeadraceError ? error.details["sqlstate"] : undefined;
}

function fromSqlState(error: DatabaseError, sqlstate: string): HeadraceError {
  const { schema, table, column, constraint, dataType, routine } = error;
  const details = defined({ sqlstate, schema, table, column, constraint, dataType, routine });
  return new HeadraceError(codeOf(sqlstate), { message: describe(sqlstate, details), details });
}

function codeOf(sqlstate: string): ErrorCode {
  for (let length = sqlstate.length; length >= 2; length--) {
    const found = BY_SQLSTATE[sqlstate.slice(0, length)];
    if (found !== undefined) return found;
  }
  return "POSTGRES_UNEXPECTED";
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
