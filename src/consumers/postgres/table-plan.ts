import { HeadraceError } from "../../errors/error.ts";
import type { RowColumn } from "../../schemas/row-schema.ts";
import type { TableName } from "../ports.ts";
import type { ColumnState, SchemaState, TableState } from "./catalog.ts";
import { columnFit } from "./column-fit.ts";
import { quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";
import type { TableNeed } from "./table-needs.ts";

export interface TablePlan {
  /** Makes the table fit the records; empty where it already does. */
  readonly ddl: readonly string[];
  /** Why the table cannot hold the records. Where there is one, do not run `ddl`. */
  readonly problems: readonly HeadraceError[];
}

/** PostgreSQL truncates longer names without an error. */
const MAX_NAME_BYTES = 63;

/** Plans what a table needs before records of a RowSchema can be written to it. Pure. */
export function planTable(need: TableNeed, schema: SchemaState, state: TableState | undefined): TablePlan {
  const problems = nameProblems(need);
  if (problems.length > 0) return { ddl: [], problems };
  return state === undefined ? planCreation(need, schema) : planExisting(need, schema, state);
}

/** Names that PostgreSQL does not allow. They must not get into any SQL. */
export function nameProblems({ table, columns }: TableNeed): readonly HeadraceError[] {
  return [table.schema, table.table, ...columns.map(({ name }) => name)]
    .filter((name) => name === "" || name.includes("\0") || Buffer.byteLength(name) > MAX_NAME_BYTES)
    .map(
      (name) =>
        new HeadraceError("NAME_INVALID", {
          message: `PostgreSQL does not allow the name ${JSON.stringify(name)}.`,
          remedy: `Give the table or column another name in the config: 1 to ${MAX_NAME_BYTES} bytes in UTF-8, without a NUL character.`,
        }),
    );
}

export function createSchema(name: string): string {
  return `CREATE SCHEMA ${quoteIdentifier(name)}`;
}

function planCreation({ table, columns, key, references }: TableNeed, schema: SchemaState): TablePlan {
  const definitions = columns.map(({ name, sqlType }) => {
    // Compares keys by their bytes, as MongoDB does. It is also faster.
    const collation = name === key[0] && sqlType === "text" ? ' COLLATE "C"' : "";
    return `${quoteIdentifier(name)} ${sqlType}${collation}`;
  });
  definitions.push(`PRIMARY KEY (${key.map(quoteIdentifier).join(", ")})`);
  if (references !== null) definitions.push(foreignKey(key, references));
  const create = `CREATE TABLE ${quoteTable(table)} (${definitions.join(", ")})`;
  const ddl = schema.exists ? [create] : [createSchema(table.schema), create];
  if (!schema.canCreate) {
    const problem = schema.exists
      ? `create tables in the schema "${table.schema}"`
      : `create the schema "${table.schema}"`;
    const statements = [...ddl, ...grants(table, schema)];
    return { ddl: [], problems: [notOwned(table, `The user of postgres.url may not ${problem}.`, statements)] };
  }
  return { ddl, problems: [] };
}

/** Lets Headrace write to a table that somebody else owns. */
function grants(table: TableName, { user }: SchemaState): readonly string[] {
  return [
    `GRANT USAGE ON SCHEMA ${quoteIdentifier(table.schema)} TO ${user}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${quoteTable(table)} TO ${user}`,
  ];
}

/** An element's row goes with its document's. */
function foreignKey([first = ""]: readonly string[], references: TableName): string {
  return `FOREIGN KEY (${quoteIdentifier(first)}) REFERENCES ${quoteTable(references)} ("_id") ON DELETE CASCADE`;
}

function planExisting(need: TableNeed, schema: SchemaState, state: TableState): TablePlan {
  const { table, columns, key, references } = need;
  if (state.kind !== "r" && state.kind !== "p") {
    const isType = state.kind === "type";
    const rename = isType
      ? `Run: ALTER TYPE ${quoteTable(table)} RENAME TO another_name; or`
      : "Rename that object, or";
    const problem = `${isType ? "a type" : "an object that is not a table"} has its name`;
    return { ddl: [], problems: [doesNotFit(table, problem, `${rename} choose another table in the config.`)] };
  }
  const alterations = columns.map((column) => alterationFor(need, column, state));
  const problems = [
    ...tableProblems(need, schema, state),
    ...alterations.filter((alteration) => alteration instanceof HeadraceError),
  ];
  const actions = alterations.filter((alteration) => typeof alteration === "string");
  if (references !== null && !state.hasForeignKey) actions.push(`ADD ${foreignKey(key, references)}`);
  if (actions.length === 0) return { ddl: [], problems };
  const alter = `ALTER TABLE ${quoteTable(table)} ${actions.join(", ")}`;
  if (!state.isOwned)
    problems.push(notOwned(table, `The user of postgres.url may not extend the table ${quoteTable(table)}.`, [alter]));
  return { ddl: [alter], problems };
}

/** An action of ALTER TABLE, a problem, or undefined where the column already fits. */
function alterationFor(
  { table, key }: TableNeed,
  wanted: RowColumn,
  state: TableState,
): string | HeadraceError | undefined {
  const name = quoteIdentifier(wanted.name);
  const actual = state.columns.find((column) => column.name === wanted.name);
  if (actual === undefined) {
    if (!key.includes(wanted.name)) return `ADD COLUMN ${name} ${wanted.sqlType}`;
    const remedy = `Add a primary key (${key.map(quoteIdentifier).join(", ")}) with the column ${name} of type ${wanted.sqlType}, or choose another table in the config.`;
    return doesNotFit(table, `it has no column ${name}`, remedy);
  }
  const misfit = columnMisfit(wanted, actual, key);
  if (misfit !== undefined) {
    return doesNotFit(
      table,
      misfit,
      "Change the column in the table or in the config, or choose another table in the config.",
    );
  }
  return columnFit(actual.sqlType, wanted.sqlType) === "widen"
    ? `ALTER COLUMN ${name} TYPE ${wanted.sqlType}`
    : undefined;
}

function columnMisfit(wanted: RowColumn, actual: ColumnState, key: readonly string[]): string | undefined {
  const name = quoteIdentifier(wanted.name);
  if (actual.isGenerated) return `its column ${name} is generated by PostgreSQL`;
  if (wanted.name === key[0] && !actual.isDeterministic)
    return `its column ${name} has a collation that treats different keys as equal`;
  return columnFit(actual.sqlType, wanted.sqlType) === "refuse"
    ? `its column ${name} is ${actual.sqlType}, which cannot hold every ${wanted.sqlType}`
    : undefined;
}

function tableProblems({ table, columns, key }: TableNeed, schema: SchemaState, state: TableState): HeadraceError[] {
  const problems: HeadraceError[] = [];
  const name = quoteTable(table);
  if (!state.isWritable) {
    problems.push(notOwned(table, `The user of postgres.url may not write to ${name}.`, grants(table, schema)));
  }
  if (state.hasRowSecurity) {
    const remedy = `Let a superuser run one of these: ALTER ROLE ${schema.user} BYPASSRLS; or: ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY;`;
    problems.push(doesNotFit(table, "row-level security hides some of its rows from Headrace", remedy));
  }
  if (state.isUnlogged) {
    const problem = "it is UNLOGGED: a crash of PostgreSQL would empty it";
    problems.push(doesNotFit(table, problem, `Run: ALTER TABLE ${name} SET LOGGED;`));
  }
  if (state.rules.length > 0) problems.push(rulesFound(table, state.rules));
  if (!state.hasUniqueKey && key.every((name) => state.columns.some((column) => column.name === name))) {
    const list = key.map(quoteIdentifier).join(", ");
    const remedy = `Run: ALTER TABLE ${name} ADD ${state.hasPrimaryKey ? "UNIQUE" : "PRIMARY KEY"} (${list});`;
    const problem = `it has no unique index on ${key.length === 1 ? `${list} alone` : `(${list})`}`;
    problems.push(doesNotFit(table, problem, remedy));
  }
  const filled = new Set(columns.map((column) => column.name));
  for (const column of state.columns) {
    if (!column.isRequired || filled.has(column.name)) continue;
    const remedy = "Give the column a default, drop its NOT NULL, or map a field to it in the config.";
    const problem = `its column ${quoteIdentifier(column.name)} is NOT NULL without a default, and the config maps no field to it`;
    problems.push(doesNotFit(table, problem, remedy));
  }
  return problems;
}

/** For a table with rules that change what Headrace's statements do. */
export function rulesFound(table: TableName, rules: readonly string[]): HeadraceError {
  const names = rules.map(quoteIdentifier);
  const problem = `with its rule${names.length === 1 ? "" : "s"} ${names.join(", ")} PostgreSQL would leave out rows of Headrace without an error, or refuse to write them`;
  const drops = names.map((name) => `DROP RULE ${name} ON ${quoteTable(table)};`).join(" ");
  const remedy = `Run: ${drops} If Headrace has written to the table meanwhile, \`headrace verify --repair\` then finds and repairs the rows that were left out.`;
  return doesNotFit(table, problem, remedy);
}

function doesNotFit(table: TableName, problem: string, remedy: string): HeadraceError {
  const message = `The table ${quoteTable(table)} does not fit: ${problem}.`;
  return new HeadraceError("TABLE_DOES_NOT_FIT", { message, remedy, details: { table: quoteTable(table) } });
}

function notOwned(table: TableName, message: string, statements: readonly string[]): HeadraceError {
  const remedy = `Let the owner or a superuser run: ${statements.map((statement) => `${statement};`).join(" ")}`;
  return new HeadraceError("TABLE_NOT_OWNED", { message, remedy, details: { table: quoteTable(table) } });
}
