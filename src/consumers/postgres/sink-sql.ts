import type { TopicPartition } from "../../schemas/partitions.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { DeadLetterOrigin, DeadLetterOutcome, TableName, Watermark } from "../ports.ts";
import type { Query } from "./client.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

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
   * row of `filled_columns` (how many columns of the table records have filled), `floor` (the version of the
   * partition's newest truncate, NULL where it has none) and `has_tombstones` (whether the table has any).
   */
  lookUnderLock({ topic, partition }: TopicPartition, table: TableName): Query {
    return {
      name: "headrace_look_under_lock",
      text: `SELECT (SELECT count(*) FROM ${this.#schema}.columns WHERE relation = $3) AS filled_columns,
  (SELECT version FROM ${this.#schema}.truncates WHERE relation = $3 AND topic = $1 AND partition = $2) AS floor,
  EXISTS (SELECT FROM ${this.#schema}.tombstones WHERE relation = $3) AS has_tombstones`,
      values: [topic, partition, quoteTable(table)],
    };
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
      text: `INSERT INTO ${this.#schema}.unapplied AS known (relation, key, version) VALUES ($1, $2, $3)
ON CONFLICT (relation, key) DO UPDATE SET version = EXCLUDED.version WHERE known.version < EXCLUDED.version`,
      values: [quoteTable(table), key, String(version)],
    };
  }

  /** A replayed dead letter stays replayed, whatever comes later. */
  recordOutcome(
    { topic, partition, offset }: DeadLetterOrigin,
    attempts: number,
    outcome: DeadLetterOutcome,
    table: TableName | null,
  ): Query {
    return {
      name: "headrace_record_outcome",
      text: `INSERT INTO ${this.#schema}.dead_letters AS known (topic, partition, "offset", attempts, outcome, relation)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (topic, partition, "offset") DO UPDATE
SET attempts = EXCLUDED.attempts, outcome = EXCLUDED.outcome, relation = EXCLUDED.relation, at = EXCLUDED.at
WHERE known.outcome <> 'replayed'`,
      values: [topic, partition, String(offset), attempts, outcome, table === null ? null : quoteTable(table)],
    };
  }

  /** Rows of `topic`, `partition`, `offset`, `outcome`. */
  readOutcomes(origins: readonly DeadLetterOrigin[]): Query {
    return {
      name: "headrace_read_outcomes",
      text: `SELECT topic, partition, "offset", outcome
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS wanted (topic, partition, "offset")
JOIN ${this.#schema}.dead_letters USING (topic, partition, "offset")`,
      values: [...columnsOf(origins), origins.map(({ offset }) => String(offset))],
    };
  }

  /**
   * Never lowers a watermark. `source_time` is rounded down to the second: the table has every change that was made before
   * it. Sorted, so that members of the group that do this at once do not deadlock.
   */
  raiseWatermarks(watermarks: readonly Watermark[]): Query {
    return {
      name: "headrace_raise_watermarks",
      text: `INSERT INTO ${this.#schema}.watermark AS known (relation, version, source_time)
SELECT relation, version, to_timestamp(version >> 32) FROM unnest($1::text[], $2::bigint[]) AS raised (relation, version)
ORDER BY relation
ON CONFLICT (relation) DO UPDATE
SET version = EXCLUDED.version, source_time = EXCLUDED.source_time, updated_at = EXCLUDED.updated_at
WHERE known.version < EXCLUDED.version`,
      values: [watermarks.map(({ table }) => quoteTable(table)), watermarks.map(({ version }) => String(version))],
    };
  }

  purgeTombstones(olderThanMs: number, maxRows: number): Query {
    return {
      name: "headrace_purge_tombstones",
      text: `DELETE FROM ${this.#schema}.tombstones WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM ${this.#schema}.tombstones WHERE deleted_at < now() - make_interval(secs => $1::float8 / 1000)
  ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
      values: [olderThanMs, maxRows],
    };
  }
}

function columnsOf(partitions: readonly TopicPartition[]): readonly unknown[] {
  return [partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition)];
}
