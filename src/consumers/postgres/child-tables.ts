import type { RowSchema } from "../../schemas/row-schema.ts";
import type { TableName } from "../ports.ts";
import { fileNodeOf, isOtherChild, readFilledColumns, readTableState } from "./catalog.ts";
import type { SchemaState } from "./catalog.ts";
import type { PostgresSession, Query } from "./session.ts";
import { childStatements, emptyingStatements } from "./sql/child-sql.ts";
import type { ChildStatements } from "./sql/child-sql.ts";
import { parseTable, quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";
import { columnsDropped, tableReplaced } from "./table-errors.ts";
import { childNeeds } from "./table-needs.ts";
import type { TableNeed } from "./table-needs.ts";
import { nameProblems, planTable } from "./table-plan.ts";
import type { TablePlan } from "./table-plan.ts";

/** The table of the documents, and where Headrace's own tables are. */
export interface Documents {
  readonly table: TableName;
  readonly rowSchema: RowSchema;
  readonly internalSchema: string;
}

export interface ChildFindings {
  /** To run before the tables can be written to. `problems` of any child. */
  readonly plan: TablePlan;
  /** To run after `plan.ddl`. */
  readonly notes: readonly Query[];
  readonly statements: readonly ChildStatements[];
}

/**
 * Looks at the tables of the children of a RowSchema, and at those that other RowSchemas have filled.
 * @throws HeadraceError TABLE_REPLACED, COLUMN_DROPPED
 */
export async function lookAtChildren(
  session: PostgresSession,
  documents: Documents,
  schema: SchemaState,
): Promise<ChildFindings> {
  const { table, rowSchema, internalSchema } = documents;
  const known = await readChildren(session, internalSchema, table);
  const needs = childNeeds(table, rowSchema);
  const problems = needs.flatMap(nameProblems);
  if (problems.length > 0) return { plan: { ddl: [], problems }, notes: [], statements: [] };
  const found: FoundChild[] = [];
  for (const need of needs) found.push(await lookAtChild(session, documents, { need, schema, known }));
  const own = new Set(found.map(({ relation }) => relation));
  const others = [...known].filter(([relation, { isThere }]) => !own.has(relation) && isThere);
  return {
    plan: {
      ddl: found.flatMap(({ plan }) => plan.ddl),
      problems: found.flatMap(({ plan }) => plan.problems),
    },
    notes: found.flatMap(({ notes }) => notes),
    statements: [
      ...found.map(({ child, resetColumns }, place) =>
        childStatements(
          { parent: table, table: child, idType: rowSchema.idType },
          rowSchema.children,
          place,
          resetColumns,
        ),
      ),
      ...others.map(([relation]) =>
        emptyingStatements({ parent: table, table: parseTable(relation), idType: rowSchema.idType }),
      ),
    ],
  };
}

interface FoundChild {
  readonly child: TableName;
  readonly relation: string;
  readonly plan: TablePlan;
  readonly notes: readonly Query[];
  readonly resetColumns: readonly string[];
}

interface Known {
  readonly isThere: boolean;
  readonly isSame: boolean;
}

async function lookAtChild(
  session: PostgresSession,
  { table, internalSchema }: Documents,
  { need, schema, known }: { need: TableNeed; schema: SchemaState; known: ReadonlyMap<string, Known> },
): Promise<FoundChild> {
  const relation = quoteTable(need.table);
  if (known.get(relation)?.isSame === false) throw tableReplaced(need.table);
  const filled = await readFilledColumns(session, internalSchema, need.table);
  const state = await readTableState(session, need);
  const existing = new Set(state?.columns.map(({ name }) => name));
  const columns = need.columns.map(({ name }) => name).filter((name) => !need.key.includes(name));
  const dropped = columns.filter((name) => filled.includes(name) && !existing.has(name));
  if (state !== undefined && dropped.length > 0) throw columnsDropped(need.table, dropped, internalSchema, table);
  const news = columns.filter((name) => !filled.includes(name));
  const plan = planTable(need, schema.exists ? schema : { ...schema, exists: true }, state);
  return {
    child: need.table,
    relation,
    plan,
    notes: [
      ...(news.length > 0 ? [fillingColumns(internalSchema, need.table, news)] : []),
      // Creating or rewriting the table gives it another oid or file.
      ...(plan.ddl.length > 0 || !known.has(relation) ? [knowingChild(internalSchema, table, need.table)] : []),
    ],
    resetColumns: filled.filter((name) => existing.has(name) && !columns.includes(name)),
  };
}

async function readChildren(
  session: PostgresSession,
  internalSchema: string,
  table: TableName,
): Promise<ReadonlyMap<string, Known>> {
  const text = `SELECT child, to_regclass(child) IS NOT NULL AS "isThere", NOT ${isOtherChild("known")} AS "isSame"
FROM ${quoteIdentifier(internalSchema)}.children AS known WHERE relation = $1`;
  const [found] = await session.run({ text, values: [quoteTable(table)] });
  return new Map((found?.rows ?? []).map((row) => [String(row["child"]), row as unknown as Known]));
}

/** Stores that records fill columns of a table. */
export function fillingColumns(internalSchema: string, table: TableName, names: readonly string[]): Query {
  const text = `INSERT INTO ${quoteIdentifier(internalSchema)}.columns (relation, name, attnum)
SELECT $1, name, attnum FROM unnest($2::text[]) AS name
  LEFT JOIN pg_attribute ON attrelid = to_regclass($1) AND attname = name AND NOT attisdropped
ON CONFLICT DO NOTHING`;
  return { text, values: [quoteTable(table), names] };
}

function knowingChild(internalSchema: string, table: TableName, child: TableName): Query {
  const text = `INSERT INTO ${quoteIdentifier(internalSchema)}.children (relation, child, table_oid, file_node)
VALUES ($1, $2, to_regclass($2)::oid, ${fileNodeOf("to_regclass($2)")})
ON CONFLICT (relation, child) DO UPDATE SET table_oid = EXCLUDED.table_oid, file_node = EXCLUDED.file_node`;
  return { text, values: [quoteTable(table), quoteTable(child)] };
}
