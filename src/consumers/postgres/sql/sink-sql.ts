import type { TopicPartition } from "../../../schemas/partitions.ts";
import type { Change } from "../../../schemas/row-schema.ts";
import type { DeadLetterOrigin, DeadLetterOutcome, LogStretch, TableName, Watermark } from "../../ports.ts";
import { fileNodeOf, isOtherChild, rulesOf } from "../catalog.ts";
import type { Query } from "../session.ts";
import { storedKey } from "./stored-key.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** What `lookUnderLock` is expected to find. */
export interface ExpectedUnderLock {
  readonly filledColumns: number;
  readonly floor: bigint | undefined;
  readonly hasTombstones: boolean;
}

/** Builds the queries on Headrace's own tables. Pure. */
export class SinkSql {
  readonly #schema: string;

  constructor(schema: string) {
    this.#schema = quoteIdentifier(schema);
  }

  /** Stores 0 for partitions that have no progress. */
  beginProgress(partitions: readonly TopicPartition[]): Query {
    return {
      name: "headrace_begin_progress",
      text: `INSERT INTO ${this.#schema}.progress (topic, partition, next_offset)
SELECT topic, partition, 0 FROM unnest($1::text[], $2::int[]) AS wanted (topic, partition) ON CONFLICT DO NOTHING`,
      values: columnsOf(partitions),
    };
  }

  /** Rows of `topic`, `partition`, `next_offset`. */
  readProgress(partitions: readonly TopicPartition[]): Query {
    return {
      name: "headrace_read_progress",
      text: `SELECT topic, partition, next_offset FROM unnest($1::text[], $2::int[]) AS wanted (topic, partition)
JOIN ${this.#schema}.progress USING (topic, partition)`,
      values: columnsOf(partitions),
    };
  }

  /**
   * Waits until no other transaction writes keys of the partition. Returns a row with `next_offset`; no row if the
   * partition has no progress.
   */
  lockProgress({ topic, partition }: TopicPartition): Query {
    return {
      name: "headrace_lock_progress",
      text: `SELECT next_offset FROM ${this.#schema}.progress WHERE topic = $1 AND partition = $2 FOR UPDATE`,
      values: [topic, partition],
    };
  }

  /**
   * Not part of `lockProgress`: a statement that waits for a lock sees the other tables as they were before it waited. A
   * row of `filled_columns` (as `filledCount` counts), `floor` (the version of the
   * partition's newest truncate, NULL where it has none), `has_tombstones` (whether the table has any), `is_registered`
   * (whether the table, and those of its children, are still the ones that are known, and this topic's; NULL where the register has none) and
   * `is_guarded` (whether rules or row-level security apply to it).
   */
  lookUnderLock({ topic, partition }: TopicPartition, table: TableName): Query {
    return {
      name: "headrace_look_under_lock",
      text: this.#lookText(),
      values: [topic, partition, quoteTable(table)],
    };
  }

  /**
   * Moves the progress, which locks the partition as `lockProgress` does. Fails where the progress is not the expected
   * one: PostgreSQL has no statement that ends a transaction on a condition, so this casts a text that is no number.
   */
  moveExpectedProgress({ topic, partition, expectedOffset, nextOffset }: LogStretch): Query {
    return {
      name: "headrace_move_expected_progress",
      text: `WITH moved AS (
  UPDATE ${this.#schema}.progress SET next_offset = $4 WHERE topic = $1 AND partition = $2 AND next_offset = $3
  RETURNING topic
)
SELECT CASE count(*) WHEN 1 THEN 1 ELSE (count(*) || ' partitions: Headrace looks again')::int END FROM moved`,
      values: [topic, partition, String(expectedOffset), String(nextOffset)],
    };
  }

  /** Fails as `moveExpectedProgress` does where `lookUnderLock` would not find the same, or anything against the table. */
  requireUnderLock({ topic, partition, table }: LogStretch, expected: ExpectedUnderLock): Query {
    const { filledColumns, floor, hasTombstones } = expected;
    return {
      name: "headrace_require_under_lock",
      // now() is no constant for the planner, which would otherwise try the cast.
      text: `SELECT CASE WHEN filled_columns = $4 AND floor IS NOT DISTINCT FROM $5 AND (NOT has_tombstones OR $6)
    AND is_registered IS NOT FALSE AND is_guarded IS NOT TRUE
  THEN 1 ELSE (now() || ': the table has changed, Headrace looks again')::int END
FROM (${this.#lookText()}) AS found`,
      values: [
        topic,
        partition,
        quoteTable(table),
        filledColumns,
        floor === undefined ? null : String(floor),
        hasTombstones,
      ],
    };
  }

  #lookText(): string {
    return `SELECT ${filledCount(this.#schema, "$3")} AS filled_columns,
  (SELECT version FROM ${this.#schema}.truncates WHERE relation = $3 AND topic = $1 AND partition = $2) AS floor,
  EXISTS (SELECT FROM ${this.#schema}.tombstones WHERE relation = $3) AS has_tombstones,
  (SELECT topic = $1 AND left_at IS NULL AND table_oid = to_regclass($3)
      AND file_node IS NOT DISTINCT FROM ${fileNodeOf("to_regclass($3)")}
      AND NOT EXISTS (SELECT FROM ${this.#schema}.children AS known WHERE known.relation = $3 AND ${isOtherChild("known")})
    FROM ${this.#schema}.tables WHERE relation = $3) AS is_registered,
  ${isGuarded("to_regclass($3)::oid")}
    OR EXISTS (SELECT FROM ${this.#schema}.children WHERE relation = $3 AND ${isGuarded("to_regclass(child)::oid")}) AS is_guarded`;
  }

  moveProgress({ topic, partition }: TopicPartition, nextOffset: bigint): Query {
    return {
      name: "headrace_move_progress",
      text: `UPDATE ${this.#schema}.progress SET next_offset = $3 WHERE topic = $1 AND partition = $2`,
      values: [topic, partition, String(nextOffset)],
    };
  }

  /** Stores the newest version of a key that is a dead letter. */
  recordUnapplied(table: TableName, { key, version }: Pick<Change, "key" | "version">): Query {
    return {
      name: "headrace_record_unapplied",
      text: `INSERT INTO ${this.#schema}.unapplied AS known (relation, key, version) VALUES ($1, ${storedKey("$2::text")}, $3)
ON CONFLICT (relation, key) DO UPDATE SET version = EXCLUDED.version WHERE known.version < EXCLUDED.version`,
      values: [quoteTable(table), key, String(version)],
    };
  }

  /** A replayed dead letter stays replayed, whatever comes later; that of another incarnation of its topic is another one. */
  recordOutcome(
    { topic, partition, offset, topicId }: DeadLetterOrigin,
    attempts: number,
    outcome: DeadLetterOutcome,
    table: TableName | null,
  ): Query {
    return {
      name: "headrace_record_outcome",
      text: `INSERT INTO ${this.#schema}.dead_letters AS known (topic, partition, "offset", attempts, outcome, relation, topic_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (topic, partition, "offset", topic_id) DO UPDATE SET attempts = EXCLUDED.attempts,
  outcome = EXCLUDED.outcome, relation = EXCLUDED.relation, at = EXCLUDED.at
WHERE known.outcome <> 'replayed'`,
      values: [
        topic,
        partition,
        String(offset),
        attempts,
        outcome,
        table === null ? null : quoteTable(table),
        storedTopicId(topicId),
      ],
    };
  }

  /** Rows of `topic`, `partition`, `offset`, `topic_id`, `outcome`. */
  readOutcomes(origins: readonly DeadLetterOrigin[]): Query {
    return {
      name: "headrace_read_outcomes",
      text: `SELECT topic, partition, "offset", nullif(topic_id, '') AS topic_id, outcome
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[]) AS wanted (topic, partition, "offset", topic_id)
JOIN ${this.#schema}.dead_letters USING (topic, partition, "offset", topic_id)`,
      values: [
        ...columnsOf(origins),
        origins.map(({ offset }) => String(offset)),
        origins.map(({ topicId }) => storedTopicId(topicId)),
      ],
    };
  }

  /**
   * Never lowers a watermark, and raises none of a table that waits for a copy, or that is not the one that the register
   * knows. `source_time` is rounded down to the second: the table has every change that was made before
   * it. Sorted, so that members of the group that do this at once do not deadlock.
   */
  raiseWatermarks(watermarks: readonly Watermark[]): Query {
    return {
      name: "headrace_raise_watermarks",
      text: `WITH raised AS (
  SELECT relation, version, signals FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS raised (relation, version, signals)
), copied AS (
  UPDATE ${this.#schema}.tables AS known SET copy_signal = NULL FROM raised
  WHERE known.relation = raised.relation AND known.copy_signal < raised.signals
)
INSERT INTO ${this.#schema}.watermark AS known (relation, version, source_time, known_xid)
SELECT relation, version, to_timestamp(version >> 32), pg_snapshot_xmin(pg_current_snapshot()) FROM raised LEFT JOIN ${this.#schema}.tables AS of USING (relation)
WHERE of.relation IS NULL OR of.left_at IS NULL AND (of.copy_signal IS NULL OR of.copy_signal < raised.signals)
  AND of.table_oid IS NOT DISTINCT FROM to_regclass(relation)
  AND of.file_node IS NOT DISTINCT FROM ${fileNodeOf("to_regclass(relation)")}
ORDER BY relation
ON CONFLICT (relation) DO UPDATE
SET version = EXCLUDED.version, source_time = EXCLUDED.source_time, updated_at = EXCLUDED.updated_at,
  known_xid = EXCLUDED.known_xid
WHERE known.version < EXCLUDED.version`,
      values: [
        watermarks.map(({ table }) => quoteTable(table)),
        watermarks.map(({ version }) => String(version)),
        watermarks.map(({ signals }) => String(signals)),
      ],
    };
  }

  /** Notes the newest version of each table. Returns a row with `purged`, the number of tombstones. */
  purgeTombstones(olderThanMs: number, maxRows: number): Query {
    return {
      name: "headrace_purge_tombstones",
      text: `WITH old AS (
  DELETE FROM ${this.#schema}.tombstones WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ${this.#schema}.tombstones WHERE deleted_at < now() - make_interval(secs => $1::float8 / 1000)
    ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING relation, version
), noted AS (
  INSERT INTO ${this.#schema}.purged AS known (relation, version)
  SELECT relation, max(version) FROM old GROUP BY relation ORDER BY relation
  ON CONFLICT (relation) DO UPDATE SET version = EXCLUDED.version WHERE known.version < EXCLUDED.version
)
SELECT count(*)::int AS purged FROM old`,
      values: [olderThanMs, maxRows],
    };
  }
}

/**
 * SQL for the number of columns and children that records have filled of a table, at every level: another number says that
 * records of another RowSchema have come.
 * @param schema quoted, of Headrace's own tables
 * @param relation SQL of the documents' table
 */
export function filledCount(schema: string, relation: string): string {
  return `((SELECT count(*) FROM ${schema}.columns WHERE relation = ${relation})
    + (SELECT count(*) FROM ${schema}.children WHERE relation = ${relation})
    + (SELECT count(*) FROM ${schema}.children JOIN ${schema}.columns ON columns.relation = child WHERE children.relation = ${relation}))`;
}

/** @param oid SQL for the table's oid */
function isGuarded(oid: string): string {
  return `(row_security_active(${oid}) OR ${rulesOf(oid)} <> '{}')`;
}

function columnsOf(partitions: readonly TopicPartition[]): readonly unknown[] {
  return [partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition)];
}

/** A primary key has no NULL. */
function storedTopicId(topicId: DeadLetterOrigin["topicId"]): string {
  return topicId ?? "";
}
