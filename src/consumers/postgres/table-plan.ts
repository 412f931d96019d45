import { HeadraceError } from "../../errors/error.ts";
import { keyColumnType } from "../../schemas/keys/document-key.ts";
import type { RowSchema } from "../../schemas/row-schema.ts";
import type { TableName } from "../ports.ts";
import type { ColumnState, SchemaState, TableState } from "./catalog.ts";
import { columnFit } from "./column-fit.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** A table that records are going to be written to. */
export interface TableNeed {
  readonly table: TableName;
  readonly rowSchema: RowSchema;
}

export interface TablePlan {
  /** What makes the table hold the records; empty where it does already. */
  readonly ddl: readonly string[];
  /** Why it can't; then `ddl` must not be run. */
  readonly problems: readonly HeadraceError[];
}

interface Column {
  readonly name: string;
  readonly sqlType: string;
}

/** PostgreSQL cuts longer names, without an error. */
const MAX_NAME_BYTES = 63;

/** What a table needs before records of a RowSchema can be written to it. Pure. */
export function planTable(need: TableNeed, schema: SchemaState, state: TableState | undefined): TablePlan {
  const problems = nameProblems(need);
  if (problems.length > 0) return { ddl: [], problems };
  const columns = columnsOf(need.rowSchema);
  return state === undefined ? planCreation(need.table, columns, schema) : planExisting(need.table, columns, state);
}

/** Names that PostgreSQL can't have; they must not get into any SQL. */
export function nameProblems({ table, rowSchema }: TableNeed): readonly HeadraceError[] {
  return [table.schema, table.table, ...rowSchema.columns.map(({ name }) => name)]
    .filter((name) => name === "" || name.includes("\0") || Buffer.byteLength(name) > MAX_NAME_BYTES)
    .map(
      (name) =>
        new HeadraceError("NAME_INVALID", {
          message: `PostgreSQL can't have the name ${JSON.stringify(name)}.`,
          remedy: `Names of tables and columns have 1 to ${MAX_NAME_BYTES} bytes in UTF-8 and no NUL: give it another one in the config.`,
        }),
    );
}

export function createSchema(name: string): string {
  return `CREATE SCHEMA ${quoteIdentifier(name)}`;
}

function columnsOf(rowSchema: RowSchema): readonly Column[] {
  return [
    { name: "_id", sqlType: keyColumnType(rowSchema.idType) },
    { name: "_version", sqlType: "bigint" },
    ...rowSchema.columns,
  ];
}

function planCreation(table: TableName, columns: readonly Column[], schema: SchemaState): TablePlan {
  const definitions = columns.map(({ name, sqlType }) => {
    // Keys are compared by their bytes, as MongoDB does; that is faster, too.
    const constraints = name === "_id" ? `${sqlType === "text" ? ' COLLATE "C"' : ""} PRIMARY KEY` : "";
    return `${quoteIdentifier(name)} ${sqlType}${constraints}`;
  });
  const create = `CREATE TABLE ${quoteTable(table)} (${definitions.join(", ")})`;
  if (!schema.canCreate) {
    const problem = schema.exists
      ? `create tables in the schema "${table.schema}"`
      : `create the schema "${table.schema}"`;
    return { ddl: [], problems: [notOwned(table, `The user of postgres.url may not ${problem}.`, [create])] };
  }
  return { ddl: schema.exists ? [create] : [createSchema(table.schema), create], problems: [] };
}

function planExisting(table: TableName, columns: readonly Column[], state: TableState): TablePlan {
  if (state.kind !== "r" && state.kind !== "p") {
    const remedy = "Rename it, or choose another table in the config.";
    return { ddl: [], problems: [doesNotFit(table, "something that is not a table has its name", remedy)] };
  }
  const alterations = columns.map((column) => alterationFor(table, column, state));
  const problems = [
    ...tableProblems(table, columns, state),
    ...alterations.filter((alteration) => alteration instanceof HeadraceError),
  ];
  const actions = alterations.filter((alteration) => typeof alteration === "string");
  if (actions.length === 0) return { ddl: [], problems };
  const alter = `ALTER TABLE ${quoteTable(table)} ${actions.join(", ")}`;
  if (!state.isOwned) problems.push(notOwned(table, `The table ${quoteTable(table)} has to be extended.`, [alter]));
  return { ddl: [alter], problems };
}

/** An action of ALTER TABLE, a problem, or nothing where the column is as it should be. */
function alterationFor(table: TableName, wanted: Column, state: TableState): string | HeadraceError | undefined {
  const name = quoteIdentifier(wanted.name);
  const actual = state.columns.find((column) => column.name === wanted.name);
  if (actual === undefined) {
    if (wanted.name !== "_id") return `ADD COLUMN ${name} ${wanted.sqlType}`;
    const remedy = `Add a column "_id" ${wanted.sqlType} that holds the documents' keys and is the primary key, or choose another table.`;
    return doesNotFit(table, 'it has no column "_id"', remedy);
  }
  const misfit = columnMisfit(wanted, actual);
  if (misfit !== undefined) {
    return doesNotFit(table, misfit, "Change the column or its mapping in the config, or choose another table.");
  }
  return columnFit(actual.sqlType, wanted.sqlType) === "widen"
    ? `ALTER COLUMN ${name} TYPE ${wanted.sqlType}`
    : undefined;
}

function columnMisfit(wanted: Column, actual: ColumnState): string | undefined {
  const name = quoteIdentifier(wanted.name);
  if (actual.isGenerated) return `its column ${name} is generated by PostgreSQL`;
  if (wanted.name === "_id" && !actual.isDeterministic)
    return `its column ${name} has a collation that takes different keys for equal`;
  return columnFit(actual.sqlType, wanted.sqlType) === "refuse"
    ? `its column ${name} is ${actual.sqlType}, which doesn't hold every ${wanted.sqlType}`
    : undefined;
}

function tableProblems(table: TableName, columns: readonly Column[], state: TableState): HeadraceError[] {
  const problems: HeadraceError[] = [];
  const name = quoteTable(table);
  if (!state.isWritable) {
    const grant = `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO …`;
    problems.push(notOwned(table, `The user of postgres.url may not write to ${name}.`, [grant]));
  }
  if (state.hasRowSecurity) {
    const remedy = "Give the user of postgres.url BYPASSRLS, or turn the table's row-level security off.";
    problems.push(doesNotFit(table, "row-level security hides rows of it from Headrace", remedy));
  }
  if (!state.hasUniqueId && state.columns.some((column) => column.name === "_id")) {
    const remedy = `Run: ALTER TABLE ${name} ADD PRIMARY KEY ("_id")`;
    problems.push(doesNotFit(table, 'it has no unique index on "_id" alone', remedy));
  }
  const filled = new Set(columns.map((column) => column.name));
  for (const column of state.columns) {
    if (!column.isRequired || filled.has(column.name)) continue;
    const remedy = "Give the column a default, drop its NOT NULL, or map a field to it in the config.";
    const problem = `no record fills its column ${quoteIdentifier(column.name)}, which is NOT NULL without a default`;
    problems.push(doesNotFit(table, problem, remedy));
  }
  return problems;
}

function doesNotFit(table: TableName, problem: string, remedy: string): HeadraceError {
  const message = `The table ${quoteTable(table)} does not fit: ${problem}.`;
  return new HeadraceError("TABLE_DOES_NOT_FIT", { message, remedy, details: { table: quoteTable(table) } });
}

function notOwned(table: TableName, message: string, statements: readonly string[]): HeadraceError {
  const remedy = `Let its owner run: ${statements.join("; ")}; or give the user of postgres.url the right to.`;
  return new HeadraceError("TABLE_NOT_OWNED", { message, remedy, details: { table: quoteTable(table) } });
}
