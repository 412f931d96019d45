import type { TableName } from "../ports.ts";
import type { PostgresClient } from "../postgres/client.ts";
import { BEGIN } from "../postgres/session.ts";
import type { PostgresSession, Query, Row } from "../postgres/session.ts";
import { parseTable, quoteTable } from "../postgres/sql/upsert-sql.ts";
import { isTableMissing, tableGone } from "../postgres/table-errors.ts";
import type { Register, RegisterChange } from "./admission.ts";
import type { RegisteredTable, TableFacts, WantedTable } from "./facts.ts";
import { RegisterSql } from "./register-sql.ts";

/** Looking for a single old row may read a whole table that has none. */
const LOOK_TIMEOUT_MS = 60 * 60 * 1000;

/** The register in PostgreSQL: `headrace.tables`. */
export class PostgresRegister implements Register {
  readonly #client: PostgresClient;
  readonly #sql: RegisterSql;
  readonly #prepare: () => Promise<void>;

  /** @param prepare makes sure that Headrace's own tables exist */
  constructor(client: PostgresClient, internalSchema: string, prepare: () => Promise<void>) {
    this.#client = client;
    this.#sql = new RegisterSql(internalSchema);
    this.#prepare = prepare;
  }

  async look(wanted: readonly WantedTable[]): Promise<readonly TableFacts[]> {
    await this.#prepare();
    return await this.#client.session((session) => this.#look(session, wanted), {
      statementTimeoutMs: LOOK_TIMEOUT_MS,
    });
  }

  async change(
    wanted: readonly WantedTable[],
    work: (facts: readonly TableFacts[]) => Promise<readonly RegisterChange[]>,
  ): Promise<void> {
    await this.#client.session(
      async (session) => {
        await session.run(BEGIN, this.#sql.setTimeout(LOOK_TIMEOUT_MS), this.#sql.lock());
        const changes = await work(await this.#look(session, wanted));
        await session.commit(...changes.flatMap((change) => this.#statements(change)));
      },
      { statementTimeoutMs: LOOK_TIMEOUT_MS },
    );
  }

  /** Gives tables of other pipelines or sources to this one. Their rows stay until the copy that follows has replaced them. */
  async takeOver(wanted: readonly WantedTable[]): Promise<void> {
    await this.#client.session(async (session) => {
      await session.run(BEGIN, this.#sql.lock());
      await session.commit(...wanted.flatMap((table) => this.#sql.takeOver(table)));
    });
  }

  /** The newest version of a table's rows, living or deleted. Reads the whole table. */
  async newestVersion({ table }: WantedTable, isThere: boolean): Promise<bigint> {
    return await this.#client.session(
      async (session) => {
        const [found] = await session.run(this.#sql.newestVersion(table, isThere));
        return BigInt(textOf(found?.rows[0]?.["version"]) ?? 0);
      },
      { statementTimeoutMs: LOOK_TIMEOUT_MS },
    );
  }

  async topicsOf(pipeline: string): Promise<readonly string[]> {
    await this.#prepare();
    const [found] = await this.#client.run(this.#sql.topicsOf(pipeline));
    return (found?.rows ?? []).map((row) => String(row["topic"]));
  }

  async #look(session: PostgresSession, wanted: readonly WantedTable[]): Promise<readonly TableFacts[]> {
    const [found] = await session.run(this.#sql.look(wanted));
    const rows = found?.rows ?? [];
    const facts: TableFacts[] = [];
    for (const [index, { table }] of wanted.entries()) {
      const row = rows[index] ?? {};
      const hasOldRows = await this.#hasOldRows(session, table, row);
      const isForeign = row["topic"] === null && row["oid"] !== null && row["has_progress"] === false;
      const hasForeignRows = isForeign && (await exists(session, table, this.#sql.hasRows(table)));
      const children = await this.#childFacts(session, row);
      facts.push(factsOf(quoteTable(table), row, { hasOldRows, hasForeignRows, ...children }));
    }
    return facts;
  }

  async #hasOldRows(session: PostgresSession, table: WantedTable["table"], row: Row): Promise<boolean> {
    const { known_oid: knownOid, known_file_node: knownFile, known_register_oid: knownRegister } = row;
    const { oid, file_node: file, register_oid: register, watermark, known_xid: xid, kind } = row;
    if (oid === null || knownRegister === null) return false;
    if (knownRegister !== register) {
      // Restored. Without a watermark, nothing says which rows there were.
      return typeof watermark !== "string" || (await exists(session, table, this.#sql.hasRowsUpTo(table, watermark)));
    }
    const isRewritten = knownOid === oid && knownFile !== file;
    // Of a partitioned table, each partition would have to have some.
    if (!isRewritten || kind !== "r" || typeof xid !== "string") return false;
    return await exists(session, table, this.#sql.hasRowsBefore(table, xid));
  }

  /** A child's table with another file may have been truncated, or rewritten with its rows. */
  async #childFacts(session: PostgresSession, { changed_children: changed, known_xid: xid }: Row): Promise<ChildFacts> {
    const lostChildren: string[] = [];
    for (const { relation, hasSameOid } of (changed as readonly ChangedChild[] | null) ?? []) {
      const child = parseTable(relation);
      const isKept =
        hasSameOid === true &&
        typeof xid === "string" &&
        (await exists(session, child, this.#sql.hasRowsBefore(child, xid)));
      if (!isKept) lostChildren.push(relation);
    }
    return { lostChildren, haveChildrenChanged: Array.isArray(changed) && changed.length > 0 };
  }

  #statements({ wanted, facts, decision, topicId, copySignal }: RegisterChange): readonly Query[] {
    const { relation } = facts;
    const isAnother = decision.kind === "copy" && facts.registered !== null && facts.registered.oid !== facts.oid;
    return [
      this.#sql.store(wanted, { topicId, copySignal }),
      this.#sql.numberColumns(wanted.table),
      // In a restored database all tables have other oids.
      ...this.#sql.storeChildren(wanted.table, isRestored(facts) ? [] : facts.lostChildren),
      ...(facts.otherRelations.length > 0 ? this.#sql.leave(facts.otherRelations) : []),
      // A table that needs a copy is not complete.
      ...(decision.kind === "copy" || decision.kind === "reread" ? [this.#sql.forgetWatermark(relation)] : []),
      // Columns of the table before it may be missing here.
      ...(isAnother ? [this.#sql.forgetColumns(relation)] : []),
      ...(decision.kind === "reread" ? this.#sql.rereadTopic(wanted.topic) : []),
    ];
  }
}

interface ChangedChild {
  /** As `quoteTable` writes it. */
  readonly relation: string;
  /** Null: the table is gone. */
  readonly hasSameOid: boolean | null;
}

type ChildFacts = Pick<TableFacts, "lostChildren" | "haveChildrenChanged">;

function isRestored({ registered, registerOid }: TableFacts): boolean {
  return registered !== null && registered.registerOid !== registerOid;
}

/** @throws HeadraceError TABLE_CHANGED where the table is gone since it was looked up */
async function exists(session: PostgresSession, table: TableName, query: Query): Promise<boolean> {
  try {
    const [found] = await session.run(query);
    return found?.rows[0]?.["exists"] === true;
  } catch (error) {
    throw isTableMissing(error) ? tableGone(table, error) : error;
  }
}

function factsOf(
  relation: string,
  row: Row,
  rows: Pick<TableFacts, "hasOldRows" | "hasForeignRows"> & ChildFacts,
): TableFacts {
  return {
    relation,
    registered: typeof row["topic"] === "string" ? registeredOf(row) : null,
    oid: textOf(row["oid"]),
    fileNode: textOf(row["file_node"]),
    registerOid: String(row["register_oid"]),
    rules: (row["rules"] as readonly string[] | null) ?? [],
    ...rows,
    lostColumns: (row["lost_columns"] as readonly string[] | null) ?? [],
    hasProgress: row["has_progress"] === true,
    isFilled: row["is_filled"] === true,
    otherRelations: (row["other_relations"] as readonly string[] | null) ?? [],
    otherTopicId: textOf(row["other_topic_id"]),
  };
}

function registeredOf(row: Row): RegisteredTable {
  const copySignal = textOf(row["copy_signal"]);
  return {
    pipeline: String(row["pipeline"]),
    database: String(row["database"]),
    collection: String(row["collection"]),
    topic: String(row["topic"]),
    topicId: textOf(row["topic_id"]),
    oid: textOf(row["known_oid"]),
    fileNode: textOf(row["known_file_node"]),
    registerOid: String(row["known_register_oid"]),
    copySignal: copySignal === null ? null : BigInt(copySignal),
    isLeft: row["is_left"] === true,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
