import { escapeLiteral } from "pg";
import { errorCode, HeadraceError } from "../../errors/error.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import type { TableName } from "../ports.ts";
import { sqlStateOf } from "./errors.ts";
import { forgettingStatements } from "./internal-tables.ts";
import { quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";

export function tableDropped(table: TableName, topic: string, internalSchema: string): HeadraceError {
  const relation = quoteTable(table);
  return new HeadraceError("TABLE_DROPPED", {
    message: `Headrace has written to the table ${relation}, but the table no longer exists.`,
    remedy: `Restore the table and the schema ${quoteIdentifier(internalSchema)} from the same backup. Or stop all consumers, run this SQL, and start them again; they create the table and fill it from the topic's start: ${forgettingStatements(internalSchema, table, topic)}`,
    details: { table: relation },
  });
}

/** @param documents the table of the documents, if `table` is that of a child */
export function columnsDropped(
  table: TableName,
  names: readonly string[],
  internalSchema: string,
  documents: TableName = table,
): HeadraceError {
  const relation = quoteTable(table);
  const list = names.map((name) => escapeLiteral(name)).join(", ");
  const schema = quoteIdentifier(internalSchema);
  const ofTable = `WHERE relation = ${escapeLiteral(relation)}`;
  const forget = `DELETE FROM ${schema}.columns ${ofTable} AND name IN (${list}); UPDATE ${schema}.tables SET left_at = now() WHERE relation = ${escapeLiteral(quoteTable(documents))};`;
  return new HeadraceError("COLUMN_DROPPED", {
    message: `Headrace has filled columns of the table ${relation} that were dropped: ${names.map(quoteIdentifier).join(", ")}.`,
    remedy: `Take the columns out of the config. Or let Headrace fill them again: run this SQL and start the consumers, which let the collection be copied again: ${forget}`,
    details: { table: relation },
  });
}

export function idTypeChanged(table: TableName, registered: string, found: IdType): HeadraceError {
  return new HeadraceError("ID_TYPE_CHANGED", {
    message: `The keys in the table ${quoteTable(table)} were made for "_id"s of type ${registered}, but a record's key is made for ${found}.`,
    details: { table: quoteTable(table) },
  });
}

export function tableChanged(): HeadraceError {
  return new HeadraceError("TABLE_CHANGED", {
    message: "Another process began to write other columns of the same table.",
  });
}

export function tableGuarded(table: TableName): HeadraceError {
  return new HeadraceError("TABLE_CHANGED", {
    message: `The table ${quoteTable(table)} got a rule or row-level security.`,
    details: { table: quoteTable(table) },
  });
}

export function tableGone(table: TableName, cause: unknown): HeadraceError {
  const message = `The table ${quoteTable(table)} was dropped or renamed while Headrace looked at it.`;
  return new HeadraceError("TABLE_CHANGED", { message, details: { table: quoteTable(table) } }, cause);
}

export function tableReplaced(table: TableName): HeadraceError {
  return new HeadraceError("TABLE_REPLACED", {
    message: `The table ${quoteTable(table)} was replaced, truncated or rewritten, or given to another pipeline.`,
    details: { table: quoteTable(table) },
  });
}

export function isTableReplaced(error: unknown): error is HeadraceError {
  return errorCode(error) === "TABLE_REPLACED";
}

/** The same for a process that cannot settle it: only a consumer may. */
export function unsettledTable(error: HeadraceError): HeadraceError {
  return new HeadraceError(
    "TABLE_REPLACED",
    {
      kind: "fatal",
      message: `${error.message} No consumer has looked at it since.`,
      remedy:
        "Start a consumer, or restart a running one: headrace consume. It compares the table with its register, and copies the collection again where needed. Then run this command again.",
      details: error.details,
    },
    error,
  );
}

/** SQLSTATEs of a table, or its schema, that does not exist. */
const MISSING_TABLE_STATES: ReadonlySet<string | undefined> = new Set(["3F000", "42P01"]);

export function isTableMissing(error: unknown): boolean {
  return MISSING_TABLE_STATES.has(sqlStateOf(error));
}

/** SQLSTATEs of a table that has changed since the sink last looked at it. 0A000: it has a rule now. */
const CHANGED_TABLE_STATES: ReadonlySet<string | undefined> = new Set([
  ...MISSING_TABLE_STATES,
  "0A000",
  "42703",
  "42804",
  "42P10",
]);

/** The codes of a table that has changed since the sink last looked at it. */
const CHANGED: ReadonlySet<string | undefined> = new Set(["TABLE_CHANGED", "TABLE_REPLACED"]);

/** Whether an error says that the table has changed since the sink last looked at it. */
export function isTableChange(error: unknown): boolean {
  return CHANGED.has(errorCode(error)) || CHANGED_TABLE_STATES.has(sqlStateOf(error));
}
