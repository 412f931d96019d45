import { HeadraceError } from "../runtime/errors.ts";
import type { Change } from "../schemas/row-schema.ts";
import { planBatch } from "./plan-batch.ts";
import type { RowGroup } from "./plan-batch.ts";
import { originKey, partitionKey } from "./ports.ts";
import type {
  ApplyOutcome,
  DeadLetterOrigin,
  DeadLetterOutcome,
  DeadLetterOutcomes,
  MicroBatch,
  ReplayOutcome,
  Sink,
  TableName,
  TopicPartition,
} from "./ports.ts";
import { BEGIN } from "./postgres-client.ts";
import type { PostgresClient, PostgresSession, Query, Row } from "./postgres-client.ts";
import { sqlStateOf } from "./postgres-errors.ts";
import { PostgresTables } from "./postgres-tables.ts";
import type { PreparedTable } from "./postgres-tables.ts";
import { SinkSql } from "./sink-sql.ts";
import { groupStatements } from "./upsert-sql.ts";

/** The schema of Headrace's own tables. */
const INTERNAL_SCHEMA = "headrace";

/** What PostgreSQL says where a table is another one than when it was looked at. */
const CHANGED_TABLE_STATES: ReadonlySet<string | undefined> = new Set(["3F000", "42703", "42804", "42P01", "42P10"]);

const PURGE_STEP_ROWS = 1_000;

/** What a transaction has under its partition's lock. */
interface Locked {
  readonly session: PostgresSession;
  /** Undefined where the partition has no progress. */
  readonly nextOffset: bigint | undefined;
  readonly prepared: readonly Prepared[];
  /** What applies the changes. */
  readonly statements: readonly Query[];
}

interface Prepared {
  readonly group: RowGroup;
  readonly sql: PreparedTable;
}

/**
 * Writes changes to PostgreSQL. Every transaction that does so holds the lock on its partition's progress from its
 * first statement on, so that writers of one key queue and each sees what the one before has left.
 */
export class PostgresSink implements Sink, DeadLetterOutcomes {
  readonly #client: PostgresClient;
  readonly #tables: PostgresTables;
  readonly #sql: SinkSql;

  /** @param options.internalSchema the schema of Headrace's own tables */
  constructor(client: PostgresClient, { internalSchema = INTERNAL_SCHEMA }: { internalSchema?: string } = {}) {
    this.#client = client;
    this.#tables = new PostgresTables(client, internalSchema);
    this.#sql = new SinkSql(internalSchema);
  }

  async readProgress(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>> {
    await this.#tables.prepareInternal();
    const [, found] = await this.#client.run(this.#sql.beginProgress(partitions), this.#sql.readProgress(partitions));
    return new Map(
      (found?.rows ?? []).map((row) => [partitionKey(partitionOf(row)), BigInt(String(row["next_offset"]))]),
    );
  }

  async apply(batch: MicroBatch): Promise<ApplyOutcome> {
    return await this.#underLock(batch, batch.table, batch.changes, async ({ session, nextOffset, statements }) => {
      if (nextOffset !== batch.expectedOffset) return "fenced";
      await session.commit(this.#sql.moveProgress(batch, batch.nextOffset), ...statements);
      return "applied";
    });
  }

  async replay(origin: DeadLetterOrigin, attempts: number, table: TableName, change: Change): Promise<ReplayOutcome> {
    await this.readProgress([origin]);
    return await this.#underLock(origin, table, [change], async (locked) => {
      const known = await knownVersion(locked, change);
      const outcome = known === undefined || known < change.version ? "replayed" : "superseded";
      const record = this.#sql.recordOutcome(origin, attempts, outcome, table);
      await locked.session.commit(...(outcome === "replayed" ? locked.statements : []), record);
      return outcome;
    });
  }

  async outcomesOf(origins: readonly DeadLetterOrigin[]): Promise<ReadonlyMap<string, DeadLetterOutcome>> {
    await this.#tables.prepareInternal();
    const [found] = await this.#client.run(this.#sql.readOutcomes(origins));
    return new Map(
      (found?.rows ?? []).map((row) => [
        originKey({ ...partitionOf(row), offset: BigInt(String(row["offset"])) }),
        row["outcome"] as DeadLetterOutcome,
      ]),
    );
  }

  async discard(origin: DeadLetterOrigin, attempts: number, table: TableName | null): Promise<void> {
    await this.#tables.prepareInternal();
    await this.#client.run(this.#sql.recordOutcome(origin, attempts, "discarded", table));
  }

  /**
   * Forgets deletes that are older, in small steps. A record older than that which comes after, a replay above all,
   * would bring its row back: keep them longer than dead letters.
   * @returns how many were forgotten
   */
  async purgeTombstones(olderThanMs: number): Promise<number> {
    await this.#tables.prepareInternal();
    for (let purged = 0; ;) {
      const [result] = await this.#client.run(this.#sql.purgeTombstones(olderThanMs, PURGE_STEP_ROWS));
      const rows = result?.rowCount ?? 0;
      purged += rows;
      if (rows < PURGE_STEP_ROWS) return purged;
    }
  }

  /**
   * Prepares the tables, begins a transaction, takes the partition's lock, and lets `work` commit or leave the
   * transaction to be rolled back. Once more from the start when the tables turn out to have been changed meanwhile.
   */
  async #underLock<T>(
    partition: TopicPartition,
    table: TableName,
    changes: readonly Change[],
    work: (locked: Locked) => Promise<T>,
  ): Promise<T> {
    const groups = planBatch(changes);
    const attempt = async (): Promise<T> => {
      const prepared = await this.#prepare(table, groups);
      const statements = prepared.flatMap(({ sql, group }) => groupStatements(sql, group));
      return await this.#client.session(async (session) => {
        // Sent together. Should BEGIN fail alone, the lock is gone again with its statement, and nothing has changed.
        const [, lock] = await session.run(BEGIN, this.#sql.lockProgress(partition, table));
        const progress = lock?.rows[0];
        const filledColumns = Number(progress?.["filled_columns"]);
        if (progress !== undefined && prepared.some(({ sql }) => sql.filledColumns !== filledColumns))
          throw tableChanged();
        const nextOffset = progress === undefined ? undefined : BigInt(String(progress["next_offset"]));
        return await work({ session, nextOffset, statements, prepared });
      });
    };
    try {
      return await attempt();
    } catch (error) {
      if (!isTableChange(error)) throw error;
      this.#tables.forget(table);
      return await attempt();
    }
  }

  async #prepare(table: TableName, groups: readonly RowGroup[]): Promise<readonly Prepared[]> {
    await this.#tables.prepareInternal();
    const prepared: Prepared[] = [];
    for (const group of groups)
      prepared.push({ group, sql: await this.#tables.prepare({ table, rowSchema: group.rowSchema }) });
    return prepared;
  }
}

/** Undefined where nothing is known of the key. */
async function knownVersion({ session, prepared: [first] }: Locked, { key }: Change): Promise<bigint | undefined> {
  if (first === undefined) return undefined;
  const [found] = await session.run({ ...first.sql.knownVersion, values: [first.sql.relation, key] });
  const known = found?.rows[0]?.["known"];
  return typeof known === "string" ? BigInt(known) : undefined;
}

function partitionOf(row: Row): TopicPartition {
  return { topic: String(row["topic"]), partition: Number(row["partition"]) };
}

function tableChanged(): HeadraceError {
  return new HeadraceError("TABLE_CHANGED", "retryable", {
    message: "Another process has begun to write other columns to the same table.",
    remedy: "Nothing has to be done: it is tried again.",
  });
}

function isTableChange(error: unknown): boolean {
  return (
    (error instanceof HeadraceError && error.code === "TABLE_CHANGED") || CHANGED_TABLE_STATES.has(sqlStateOf(error))
  );
}
