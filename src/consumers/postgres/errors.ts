import { DatabaseError, escapeIdentifier } from "pg";
import { ERRORS } from "../../errors/codes.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import { networkCode } from "../../runtime/network-codes.ts";
import { tlsMistake, unreadableFile } from "../../runtime/tls-codes.ts";

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

/** PostgreSQL's routine that refuses a user who may not connect to the database. */
const CONNECT_ROUTINE = "CheckMyDatabase";
/** PostgreSQL's routines whose message about a missing right holds nothing but the object's name. */
const RIGHTS_ROUTINES: ReadonlySet<string> = new Set(["aclcheck_error", "aclcheck_error_col", CONNECT_ROUTINE]);

/** PostgreSQL's routine for the RAISE of PL/pgSQL, which may give any SQLSTATE. */
const RAISE_ROUTINE = "exec_stmt_raise";

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
 * also as a cause, and the message is built from the SQLSTATE and from names. Only of a missing right the server's words
 * are kept, as no field names the object. `details.sqlstate` lets the caller retry
 * some poison first (23503, 23505); `details.raised` says that a function's RAISE gave the SQLSTATE.
 * @param connectionLost whether the connection is closed or broken; the driver's errors about that have no code
 */
export function classifyPostgresError(error: unknown, { connectionLost }: { connectionLost: boolean }): HeadraceError {
  if (error instanceof HeadraceError) return error;
  if (error instanceof DatabaseError && error.code !== undefined) return fromSqlState(error, error.code);
  const file = unreadableFile(error);
  if (file !== null) {
    const message = `The file ${file.path} in postgres.url cannot be read (${file.code}).`;
    return new HeadraceError("TLS_FILE_UNREADABLE", { message }, error);
  }
  const tls = tlsMistake(error);
  if (tls !== null) {
    const message = `No TLS with PostgreSQL: ${tls.reason} (${tls.code}).`;
    return new HeadraceError("POSTGRES_CONNECT_FAILED", { message }, error);
  }
  const code = driverCode(error);
  if (code === "ERR_INVALID_URL")
    return new HeadraceError("POSTGRES_CONNECT_FAILED", { message: "postgres.url is not a valid connection string." });
  const network = networkCode(error);
  if (network !== null || (connectionLost && code === undefined)) {
    const message =
      network === null ? "The connection to PostgreSQL was lost." : `Cannot reach PostgreSQL (${network}).`;
    return new HeadraceError("POSTGRES_UNAVAILABLE", { message }, error);
  }
  const message = `PostgreSQL's driver failed${code === undefined ? "" : ` (${code})`}.`;
  return new HeadraceError("POSTGRES_UNEXPECTED", { message }, error);
}

/** Classifies an error of a connection that is being opened. Parameters as of `classifyPostgresError`. */
export function classifyConnectError(error: unknown, { connectionLost }: { connectionLost: boolean }): HeadraceError {
  const failure = classifyPostgresError(error, { connectionLost });
  if (failure.code !== "POSTGRES_UNEXPECTED" || sqlStateOf(failure) !== undefined) return failure;
  // While connecting, the driver's messages hold no document's value, and name what is wrong with TLS or the URL.
  const message = `Cannot connect to PostgreSQL: ${error instanceof Error ? error.message : String(error)}`;
  return new HeadraceError("POSTGRES_CONNECT_FAILED", { message }, error);
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
  const raised = routine === RAISE_ROUTINE ? "true" : undefined;
  const details = defined({ sqlstate, schema, table, column, constraint, dataType, routine, raised });
  const message = describe(sqlstate, details);
  if (sqlstate === "42501" && RIGHTS_ROUTINES.has(routine ?? "")) {
    const text = `${message.slice(0, -1)}: ${error.message}.`;
    return new HeadraceError("POSTGRES_RIGHTS_MISSING", { message: text, remedy: rightsRemedy(error), details });
  }
  const code = codeOf(sqlstate);
  // The server answers, so it is no outage, whatever its function says. The trigger may want another try.
  if (raised && ERRORS[code].kind === "retryable")
    return new HeadraceError("TRIGGER_REFUSED", { kind: "retryable", message, details });
  return new HeadraceError(code, { message, details });
}

/** Undefined, for the general remedy, also where PostgreSQL's message is not in English. */
function rightsRemedy({ message: said, routine }: DatabaseError): string | undefined {
  const [, kind, found = ""] = /^permission denied for (schema|database|table|view) (.*)$/s.exec(said) ?? [];
  // Only this routine puts the name in quotes.
  const name = escapeIdentifier(routine === CONNECT_ROUTINE ? found.slice(1, -1) : found);
  const right = routine === CONNECT_ROUTINE ? "CONNECT" : "CREATE";
  const of = "where ROLE is the user of postgres.url. docs/rights.md lists all rights.";
  if (kind === "schema")
    return `Let the schema's owner run \`GRANT USAGE ON SCHEMA ${name} TO ROLE;\` (USAGE, CREATE if Headrace is to make tables in it), ${of}`;
  if (kind === "database") return `Let the database's owner run \`GRANT ${right} ON DATABASE ${name} TO ROLE;\`, ${of}`;
  if (kind !== undefined)
    return "Grant the user of postgres.url SELECT, INSERT, UPDATE and DELETE on this table (Headrace's own tables are in the schema headrace). docs/rights.md lists all rights.";
  if (said.startsWith("must be owner of"))
    return "Only the owner can do this: run the command with the owner in postgres.url, or let it be done by hand. docs/rights.md lists all rights.";
  return undefined;
}

function codeOf(sqlstate: string): ErrorCode {
  for (let length = sqlstate.length; length >= 2; length--) {
    const found = BY_SQLSTATE[sqlstate.slice(0, length)];
    if (found !== undefined) return found;
  }
  return "POSTGRES_UNEXPECTED";
}

function describe(sqlstate: string, details: Readonly<Record<string, string>>): string {
  const name = details["raised"] === "true" ? "raised by a trigger" : CONDITION_NAMES[sqlstate];
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
