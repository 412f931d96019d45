import type { HeadraceError } from "../../errors/error.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import type { Change } from "../../schemas/row-schema.ts";
import { aboveFloor, newestTruncate, foldBatch } from "../batches/fold-batch.ts";
import type { RowGroup } from "../batches/fold-batch.ts";
import { identityOf } from "../ports.ts";
import type {
  ApplyOutcome,
  DeadLetterOrigin,
  DeadLetterOutcome,
  DeadLetterOutcomes,
  LogStretch,
  MicroBatch,
  ReplayVerdict,
  Sink,
  TableName,
  Watermark,
} from "../ports.ts";
import type { PostgresClient } from "./client.ts";
import { INTERNAL_SCHEMA } from "./internal-tables.ts";
import { OneTrip } from "./one-trip.ts";
import type { Prepared, UnderLock } from "./one-trip.ts";
import { BEGIN } from "./session.ts";
import type { PostgresSession, Query, Row } from "./session.ts";
import { groupStatements } from "./sql/group-statements.ts";
import { SinkSql } from "./sql/sink-sql.ts";
import { isTableChange, isTableReplaced, tableChanged, tableGuarded, tableReplaced } from "./table-errors.ts";
import { PostgresTables } from "./tables.ts";
import { PostgresTruncates } from "./truncates.ts";
import { WrittenRows } from "./written-rows.ts";

const PURGE_STEP_ROWS = 1_000;

/** A transaction that holds its partition's lock. */
interface Locked extends UnderLock {
  readonly session: PostgresSession;
  /** The stored offset; undefined where the partition has none. */
  readonly nextOffset: bigint | undefined;
  readonly prepared: readonly Prepared[];
  /** Apply the changes that are not below the floor. */
  readonly statements: readonly Query[];
}

export interface PostgresSinkOptions {
  /** How many partitions a topic has now: each of them has a record of every truncate. */
  readonly partitionsOf: (topic: string) => Promise<number>;
  /** The schema of Headrace's own tables. */
  readonly internalSchema?: string;
  /**
   * Called when the table of a topic turns out not to be the one that the register knows, before the change is tried once
   * more. It settles that, or throws.
   */
  readonly onTableReplaced?: (topic: string, error: HeadraceError) => Promise<void>;
}

/** Of one write to a table that changes again and again. */
const ATTEMPTS = 3;

/**
 * Writes changes to PostgreSQL. The first statement of each transaction locks its partition's row of `progress`. So
 * writers of one key queue, and each sees the rows and tombstones of the previous one.
 */
export class PostgresSink implements Sink, DeadLetterOutcomes {
  readonly #client: PostgresClient;
  readonly #tables: PostgresTables;
  readonly #sql: SinkSql;
  readonly #truncates: PostgresTruncates;
  readonly #oneTrip: OneTrip;
  readonly #internalSchema: string;
  readonly #onTableReplaced: NonNullable<PostgresSinkOptions["onTableReplaced"]>;

  constructor(client: PostgresClient, options: PostgresSinkOptions) {
    const { partitionsOf, internalSchema = INTERNAL_SCHEMA, onTableReplaced = () => Promise.resolve() } = options;
    this.#client = client;
    this.#internalSchema = internalSchema;
    this.#onTableReplaced = onTableReplaced;
    this.#tables = new PostgresTables(client, internalSchema);
    this.#sql = new SinkSql(internalSchema);
    this.#oneTrip = new OneTrip(client, this.#sql);
    this.#truncates = new PostgresTruncates(client, internalSchema, partitionsOf);
  }

  /** Makes sure that Headrace's own tables exist. */
  prepareInternal(): Promise<void> {
    return this.#tables.prepareInternal();
  }

  async readProgress(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>> {
    await this.#tables.prepareInternal();
    const [, found] = await this.#client.run(this.#sql.beginProgress(partitions), this.#sql.readProgress(partitions));
    return new Map(
      (found?.rows ?? []).map((row) => [partitionKey(partitionOf(row)), BigInt(String(row["next_offset"]))]),
    );
  }

  async apply(batch: MicroBatch): Promise<ApplyOutcome> {
    const { table, changes, expectedOffset } = batch;
    const truncate = newestTruncate(changes);
    if (truncate !== undefined && (await this.#truncate(batch, table, truncate, expectedOffset)) === "fenced")
      return "fenced";
    return await this.#move(batch, changes, []);
  }

  async skip(stretch: LogStretch, change: Change | null): Promise<ApplyOutcome> {
    // A delete has no row that a truncate must spare.
    const hasRow = change !== null && change.cells !== null;
    return await this.#move(stretch, [], hasRow ? [this.#sql.recordUnapplied(stretch.table, change)] : []);
  }

  async replay(origin: DeadLetterOrigin, attempts: number, table: TableName, change: Change): Promise<ReplayVerdict> {
    await this.readProgress([origin]);
    if (change.op === "t") await this.#truncate(origin, table, change);
    return await this.#underLock(origin, table, foldBatch([change]), async (locked) => {
      const outcome = await judgeReplay(locked, change);
      if (outcome === "outdated") return outcome;
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
        identityOf({
          ...partitionOf(row),
          offset: BigInt(String(row["offset"])),
          topicId: row["topic_id"] as string | null,
        }),
        row["outcome"] as DeadLetterOutcome,
      ]),
    );
  }

  async close(
    origin: DeadLetterOrigin,
    attempts: number,
    outcome: DeadLetterOutcome,
    table: TableName | null,
  ): Promise<void> {
    await this.#tables.prepareInternal();
    await this.#client.run(this.#sql.recordOutcome(origin, attempts, outcome, table));
  }

  /** Stores watermarks that are higher than the stored ones. */
  async raiseWatermarks(watermarks: readonly Watermark[]): Promise<void> {
    await this.#tables.prepareInternal();
    await this.#client.run(this.#sql.raiseWatermarks(watermarks));
  }

  /**
   * Deletes old tombstones in small steps, and remembers up to which version: a dead letter that is not newer is then not
   * applied to a key of which nothing is stored.
   * @returns how many were deleted
   */
  async purgeTombstones(olderThanMs: number): Promise<number> {
    await this.#tables.prepareInternal();
    for (let purged = 0; ;) {
      const [result] = await this.#client.run(this.#sql.purgeTombstones(olderThanMs, PURGE_STEP_ROWS));
      const rows = Number(result?.rows[0]?.["purged"] ?? 0);
      purged += rows;
      if (rows < PURGE_STEP_ROWS) return purged;
    }
  }

  /** Applies changes, moves the progress over them and runs `more`, in one transaction. */
  async #move(stretch: LogStretch, changes: readonly Change[], more: readonly Query[]): Promise<ApplyOutcome> {
    const { table, expectedOffset, nextOffset } = stretch;
    const groups = foldBatch(changes);
    const prepare = () => this.#prepare(stretch.topic, table, groups);
    if (more.length === 0 && (await this.#oneTrip.apply(stretch, prepare))) return "applied";
    return await this.#underLock(stretch, table, groups, async (locked) => {
      if (locked.nextOffset !== expectedOffset) return "fenced";
      await locked.session.commit(this.#sql.moveProgress(stretch, nextOffset), ...locked.statements, ...more);
      this.#oneTrip.found(stretch, locked);
      return "applied";
    });
  }

  /**
   * Marks the truncate in its partition and, when all partitions are marked, sweeps the table. The progress moves past
   * the truncate only afterwards, so that a sweep that was interrupted runs again.
   * @param expectedOffset undefined where any progress will do
   */
  async #truncate(
    partition: TopicPartition,
    table: TableName,
    truncate: Change,
    expectedOffset?: bigint,
  ): Promise<ApplyOutcome> {
    const marking = await this.#truncates.marking(partition, table, truncate.version);
    const outcome = await this.#underLock(partition, table, foldBatch([truncate]), async ({ session, nextOffset }) => {
      if (expectedOffset !== undefined && nextOffset !== expectedOffset) return "fenced";
      await session.commit(...marking);
      return "applied";
    });
    if (outcome === "applied") await this.#truncates.sweep(table, partition.topic);
    return outcome;
  }

  /**
   * Prepares the table, begins a transaction, takes the partition's lock, and calls `work`, which commits. Where it
   * returns without a commit, the transaction is rolled back.
   */
  async #underLock<T>(
    partition: TopicPartition,
    table: TableName,
    groups: readonly RowGroup[],
    work: (locked: Locked) => Promise<T>,
  ): Promise<T> {
    return await this.#withCurrentTables(partition.topic, table, async () => {
      const prepared = await this.#prepare(partition.topic, table, groups);
      const rows = new WrittenRows(this.#client, table, this.#internalSchema, prepared);
      return await rows.write((free) =>
        this.#client.session(async (session) => {
          const locked = await this.#lock(session, partition, table, prepared);
          const freeing = await free(session, locked.floor);
          return await work({ ...locked, statements: [...freeing, ...locked.statements] });
        }),
      );
    });
  }

  /** Tries again where the table turns out to have changed since the sink last looked at it. It may change meanwhile, too. */
  async #withCurrentTables<T>(topic: string, table: TableName, attempt: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt();
      } catch (error) {
        if (!isTableChange(error) || attempts === ATTEMPTS) throw error;
        this.#tables.forget(table);
        if (isTableReplaced(error)) await this.#onTableReplaced(topic, error);
      }
    }
  }

  /** Begins a transaction and takes the partition's lock. */
  async #lock(
    session: PostgresSession,
    partition: TopicPartition,
    table: TableName,
    prepared: readonly Prepared[],
  ): Promise<Locked> {
    // One round trip. Where BEGIN alone fails, the lock ends with its own statement, and nothing has changed.
    const [, lock, look] = await session.run(
      BEGIN,
      this.#sql.lockProgress(partition),
      this.#sql.lookUnderLock(partition, table),
    );
    const filledColumns = Number(look?.rows[0]?.["filled_columns"]);
    if (look?.rows[0]?.["is_registered"] === false) throw tableReplaced(table);
    if (prepared.some(({ sql }) => sql.filledColumns !== filledColumns)) throw tableChanged();
    if (prepared.length > 0 && look?.rows[0]?.["is_guarded"] === true) throw tableGuarded(table);
    const nextOffset = toBigInt(lock?.rows[0]?.["next_offset"]);
    const floor = toBigInt(look?.rows[0]?.["floor"]);
    const hasTombstones = look?.rows[0]?.["has_tombstones"] !== false;
    const statements = prepared.flatMap(({ sql, group }) =>
      groupStatements(sql, aboveFloor(group, floor), hasTombstones),
    );
    return { session, nextOffset, floor, hasTombstones, statements, prepared };
  }

  async #prepare(topic: string, table: TableName, groups: readonly RowGroup[]): Promise<readonly Prepared[]> {
    await this.#tables.prepareInternal();
    const prepared: Prepared[] = [];
    for (const group of groups)
      prepared.push({ group, sql: await this.#tables.prepare({ table, rowSchema: group.rowSchema }, topic) });
    return prepared;
  }
}

/**
 * What becomes of a change that is replayed. A change of the floor's own version is newer: it was read after the
 * truncate. So is a truncate, unless its partition has a newer one. A delete has no row that it could bring back.
 */
async function judgeReplay(locked: Locked, { op, key, version, cells }: Change): Promise<ReplayVerdict> {
  const { session, floor, prepared } = locked;
  const [first] = prepared;
  if (floor !== undefined && version < floor) return "superseded";
  if (op === "t" || first === undefined) return "replayed";
  // One statement: a purge between two could hide a delete from both.
  const [found] = await session.run({ ...first.sql.knownVersion, values: [first.sql.relation, key] });
  const known = toBigInt(found?.rows[0]?.["known"]);
  if (known !== undefined) return known < version ? "replayed" : "superseded";
  const purged = toBigInt(found?.rows[0]?.["purged"]);
  return cells !== null && purged !== undefined && version <= purged ? "outdated" : "replayed";
}

/** Reads a bigint, which the driver gives as text; undefined for NULL and for a missing row. */
function toBigInt(value: unknown): bigint | undefined {
  return typeof value === "string" ? BigInt(value) : undefined;
}

function partitionOf(row: Row): TopicPartition {
  return { topic: String(row["topic"]), partition: Number(row["partition"]) };
}
