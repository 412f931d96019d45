import { HeadraceError } from "../../errors/error.ts";
import type { RowSchema } from "../../schemas/row-schema.ts";
import type { TableName } from "../ports.ts";
import { fileNodeOf, readFilledColumns, readRegistered, readSchemaState, readTableState } from "./catalog.ts";
import { fillingColumns, lookAtChildren } from "./child-tables.ts";
import type { PostgresClient } from "./client.ts";
import { sqlStateOf } from "./errors.ts";
import { planInternalTables } from "./internal-tables.ts";
import { BEGIN } from "./session.ts";
import type { PostgresSession, Query } from "./session.ts";
import type { ChildStatements } from "./sql/child-sql.ts";
import type { DocumentStatements } from "./sql/group-statements.ts";
import { filledCount } from "./sql/sink-sql.ts";
import { buildStatements, quoteIdentifier, quoteTable } from "./sql/upsert-sql.ts";
import { columnsDropped, idTypeChanged, tableDropped, tableReplaced } from "./table-errors.ts";
import { documentNeed } from "./table-needs.ts";
import { nameProblems, planTable } from "./table-plan.ts";
import type { TablePlan } from "./table-plan.ts";

/** Lets one process at a time change tables: CREATE TABLE IF NOT EXISTS fails where several run it at once. */
const LOCK = { text: "SELECT pg_advisory_xact_lock(hashtextextended('headrace', 0))" };

/** Long, because widening a column may rewrite the table. */
const DDL_TIMEOUT_MS = 60 * 60 * 1000;

/** A session that waits for an exclusive lock blocks all sessions behind it. So it stops waiting soon and tries again. */
const DDL_LIMITS = { text: `SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = ${DDL_TIMEOUT_MS}` };

/** SQLSTATEs of an object that another session, without Headrace's lock, created at the same moment. */
const MADE_BY_OTHERS: ReadonlySet<string | undefined> = new Set(["23505", "42701", "42710", "42P06", "42P07"]);

/** A table of documents, and the records to write to it. */
interface RecordsNeed {
  readonly table: TableName;
  readonly rowSchema: RowSchema;
}

interface Findings {
  /** To run before the table can be written to. */
  readonly changes: readonly Query[];
  /** The columns that records of any RowSchema have filled. */
  readonly filled: readonly string[];
  /** The columns that the table has. */
  readonly existing: ReadonlySet<string>;
  readonly children: readonly ChildStatements[];
  /** As `filledCount` counts. */
  readonly filledColumns: number;
}

export interface PreparedTable extends DocumentStatements {
  /** What `filledCount` counted when the statements were built. */
  readonly filledColumns: number;
}

/** Creates and extends tables of collections and Headrace's own tables, and builds the statements that write to them. */
export class PostgresTables {
  readonly #client: PostgresClient;
  readonly #internalSchema: string;
  #internal: Promise<void> | undefined;
  /** By table, then by the fingerprint of the RowSchema. */
  readonly #prepared = new Map<string, Map<string, Promise<PreparedTable>>>();

  constructor(client: PostgresClient, internalSchema: string) {
    this.#client = client;
    this.#internalSchema = internalSchema;
  }

  /** Makes sure that Headrace's own tables exist. */
  async prepareInternal(): Promise<void> {
    this.#internal ??= this.#createInternal().catch((error: unknown) => {
      throw preparationFailure(error);
    });
    try {
      await this.#internal;
    } catch (error) {
      this.#internal = undefined;
      throw error;
    }
  }

  /**
   * Makes sure that the table can hold records of the RowSchema; looks only once, until `forget`.
   * @param topic the one whose records the table holds
   * @throws HeadraceError TABLE_DROPPED, TABLE_DOES_NOT_FIT, TABLE_NOT_OWNED, NAME_INVALID
   */
  async prepare(need: RecordsNeed, topic: string): Promise<PreparedTable> {
    await this.prepareInternal();
    const ofTable = this.#preparedOf(need.table);
    const key = fingerprint(need.rowSchema);
    let statements = ofTable.get(key);
    if (statements === undefined) {
      statements = this.#prepare(need, topic).catch((error: unknown) => {
        throw preparationFailure(error);
      });
      ofTable.set(key, statements);
    }
    try {
      return await statements;
    } catch (error) {
      ofTable.delete(key);
      throw error;
    }
  }

  /** Makes the next `prepare` look at the table again, because another session has changed it. */
  forget(table: TableName): void {
    this.#prepared.delete(quoteTable(table));
    this.#internal = undefined;
  }

  async #createInternal(): Promise<void> {
    const look = async (session: PostgresSession): Promise<readonly Query[]> =>
      soundDdl(await planInternalTables(session, this.#internalSchema));
    const ddl = await this.#client.session(look);
    if (ddl.length > 0) await this.#change(look);
  }

  async #prepare(need: RecordsNeed, topic: string): Promise<PreparedTable> {
    refuse(nameProblems(documentNeed(need.table, need.rowSchema)));
    const look = (session: PostgresSession): Promise<Findings> => this.#look(session, need, topic);
    let findings = await this.#client.session(look);
    if (findings.changes.length > 0) {
      await this.#change(async (session) => (await look(session)).changes);
      findings = await this.#client.session(look);
    }
    const { filled, existing, children, filledColumns } = findings;
    const own = new Set(need.rowSchema.columns.map(({ name }) => name));
    const resetColumns = filled.filter((name) => existing.has(name) && !own.has(name));
    const statements = buildStatements({ ...need, resetColumns, internalSchema: this.#internalSchema });
    return { ...statements, children, filledColumns };
  }

  async #look(session: PostgresSession, need: RecordsNeed, topic: string): Promise<Findings> {
    const schema = await readSchemaState(session, need.table.schema);
    // In this order: the process that first fills a table creates it in the same transaction.
    const filled = await readFilledColumns(session, this.#internalSchema, need.table);
    const documents = documentNeed(need.table, need.rowSchema);
    const state = await readTableState(session, documents);
    if (state === undefined && filled.length > 0) throw tableDropped(need.table, topic, this.#internalSchema);
    const registered = await readRegistered(session, this.#internalSchema, need.table);
    if (state !== undefined && registered?.isSame === false) throw tableReplaced(need.table);
    const existing = new Set(state?.columns.map(({ name }) => name));
    const columns = need.rowSchema.columns.map(({ name }) => name);
    const dropped = columns.filter((name) => filled.includes(name) && !existing.has(name));
    if (dropped.length > 0) throw columnsDropped(need.table, dropped, this.#internalSchema);
    const news = columns.filter((name) => !filled.includes(name));
    const ddl = soundDdl(planTable(documents, schema, state));
    const children = await lookAtChildren(session, { ...need, internalSchema: this.#internalSchema }, schema);
    const idType = registered?.idType ?? null;
    if (idType !== null && idType !== need.rowSchema.idType)
      throw idTypeChanged(need.table, idType, need.rowSchema.idType);
    const changes = [
      ...ddl,
      ...(news.length > 0 ? [fillingColumns(this.#internalSchema, need.table, news)] : []),
      // Creating or rewriting the table gives it another oid or file.
      ...(registered !== undefined && (ddl.length > 0 || idType === null) ? [this.#registration(need)] : []),
      ...soundDdl(children.plan),
      ...children.notes,
    ];
    const filledColumns = await this.#countFilled(session, need.table);
    return { changes, filled, existing, children: children.statements, filledColumns };
  }

  #registration({ table, rowSchema }: RecordsNeed): Query {
    const text = `UPDATE ${quoteIdentifier(this.#internalSchema)}.tables
SET id_type = $2, table_oid = to_regclass(relation), file_node = ${fileNodeOf("to_regclass(relation)")}
WHERE relation = $1`;
    return { text, values: [quoteTable(table), rowSchema.idType] };
  }

  async #countFilled(session: PostgresSession, table: TableName): Promise<number> {
    const text = `SELECT ${filledCount(quoteIdentifier(this.#internalSchema), "$1")} AS filled`;
    const [found] = await session.run({ text, values: [quoteTable(table)] });
    return Number(found?.rows[0]?.["filled"]);
  }

  /** Runs what `look` finds to do. It looks under the lock, because another process may have just done the same. */
  async #change(look: (session: PostgresSession) => Promise<readonly Query[]>): Promise<void> {
    await this.#client.session(
      async (session) => {
        await session.run(BEGIN, LOCK);
        await session.commit(DDL_LIMITS, ...(await look(session)));
      },
      { statementTimeoutMs: DDL_TIMEOUT_MS },
    );
  }

  #preparedOf(table: TableName): Map<string, Promise<PreparedTable>> {
    const relation = quoteTable(table);
    let prepared = this.#prepared.get(relation);
    if (prepared === undefined) {
      prepared = new Map();
      this.#prepared.set(relation, prepared);
    }
    return prepared;
  }
}

/** The statements of a plan. @throws HeadraceError where the plan has problems */
function soundDdl({ ddl, problems }: TablePlan): readonly Query[] {
  refuse(problems);
  return ddl.map((text) => ({ text }));
}

/** @throws HeadraceError that names all problems, where there are any */
function refuse(problems: readonly HeadraceError[]): void {
  const [first, ...others] = problems;
  if (first === undefined) return;
  if (others.length === 0) throw first;
  const message = problems.map((problem) => problem.message).join(" ");
  const remedy = [...new Set(problems.map((problem) => problem.remedy))].join(" ");
  throw new HeadraceError(first.code, { message, remedy, details: first.details });
}

function preparationFailure(error: unknown): unknown {
  const sqlstate = sqlStateOf(error);
  if (sqlstate === undefined || !(error instanceof HeadraceError) || error.kind === "retryable") return error;
  if (MADE_BY_OTHERS.has(sqlstate)) {
    const message = `Another session changed the same table at the same moment. ${error.message}`;
    return new HeadraceError("TABLE_CHANGED", {
      message,
      details: error.details,
    });
  }
  if (error.kind === "fatal") return error;
  // Poison would blame the record.
  const message = `PostgreSQL refused to create or extend the table. ${error.message}`;
  return new HeadraceError("TABLE_DOES_NOT_FIT", { message, details: error.details });
}

const fingerprints = new WeakMap<RowSchema, string>();

/** The same for equal RowSchemas: every record may have a RowSchema object of its own. */
function fingerprint(rowSchema: RowSchema): string {
  let text = fingerprints.get(rowSchema);
  if (text === undefined) {
    text = JSON.stringify(rowSchema);
    fingerprints.set(rowSchema, text);
  }
  return text;
}
