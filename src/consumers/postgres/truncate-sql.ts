import type { TopicPartition } from "../../schemas/partitions.ts";
import type { TableName } from "../ports.ts";
import type { Query } from "./client.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** The statements of truncates. Pure. */
export class TruncateSql {
  readonly #schema: string;

  /** @param schema that of Headrace's own tables */
  constructor(schema: string) {
    this.#schema = quoteIdentifier(schema);
  }

  /** One after the other: two that each mark their partition and count would not see each other. */
  lockFloor(table: TableName): Query {
    return {
      name: "headrace_lock_floor",
      text: `INSERT INTO ${this.#schema}.floors (relation, version, swept) VALUES ($1, -1, true)
ON CONFLICT (relation) DO UPDATE SET relation = EXCLUDED.relation`,
      values: [quoteTable(table)],
    };
  }

  mark({ topic, partition }: TopicPartition, table: TableName, version: bigint): Query {
    return {
      name: "headrace_mark_truncate",
      text: `INSERT INTO ${this.#schema}.truncates AS known (relation, topic, partition, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (relation, topic, partition) DO UPDATE SET version = EXCLUDED.version
WHERE known.version < EXCLUDED.version`,
      values: [quoteTable(table), topic, partition, String(version)],
    };
  }

  /**
   * Up to the version that all of the topic's partitions have marked. A truncate of the version that the floor has
   * already may be another one (the source's clock stands while nothing happens there): the table is swept again.
   */
  raiseFloor(topic: string, partitions: number, table: TableName, version: bigint): Query {
    return {
      name: "headrace_raise_floor",
      text: `UPDATE ${this.#schema}.floors AS floor SET version = complete.version, swept = false
FROM (
  SELECT min(version) AS version FROM ${this.#schema}.truncates
  WHERE relation = $1 AND topic = $2 AND partition < $3 HAVING count(*) = $3
) AS complete
WHERE floor.relation = $1
  AND (floor.version < complete.version OR floor.version = complete.version AND complete.version = $4)`,
      values: [quoteTable(table), topic, partitions, String(version)],
    };
  }

  /** A row of `version` where the table is still to be swept. */
  readUnswept(table: TableName): Query {
    return {
      name: "headrace_read_unswept",
      text: `SELECT version FROM ${this.#schema}.floors WHERE relation = $1 AND NOT swept`,
      values: [quoteTable(table)],
    };
  }

  /** What cannot spare a row from a sweep any more. */
  forgetUnapplied(table: TableName, floor: bigint): Query {
    return {
      name: "headrace_forget_unapplied",
      text: `DELETE FROM ${this.#schema}.unapplied WHERE relation = $1 AND version < $2`,
      values: [quoteTable(table), String(floor)],
    };
  }

  setSwept(table: TableName, floor: bigint): Query {
    return {
      name: "headrace_set_swept",
      text: `UPDATE ${this.#schema}.floors SET swept = true WHERE relation = $1 AND version = $2`,
      values: [quoteTable(table), String(floor)],
    };
  }

  /**
   * Deletes what is older than `floor` among the next rows by `_id`, but for keys with a newer dead letter. A row of `last`,
   * the key of the last one looked at, as text; none where there is none behind `after`. By key and not by ctid: a row
   * that somebody else updates keeps its key, and a partitioned table has each ctid several times.
   */
  sweepStep(table: TableName, { floor, after, rows, locked }: SweepStep): Query {
    const name = quoteTable(table);
    // Without a cast: the parameter is of the type that the column has.
    const behind = after === undefined ? "" : `WHERE "_id" > $4`;
    return {
      text: `WITH step AS (
  SELECT "_id" FROM ${name} ${behind} ORDER BY "_id" LIMIT $2
), old AS (
  SELECT target."_id" FROM step JOIN ${name} AS target USING ("_id")
  WHERE (target."_version" IS NULL OR target."_version" < $1) AND NOT EXISTS (
    SELECT FROM ${this.#schema}.unapplied WHERE relation = $3 AND key = target."_id"::text AND version >= $1)
  FOR UPDATE OF target${locked === "skip" ? " SKIP LOCKED" : ""}
), swept AS (
  DELETE FROM ${name} AS target USING old WHERE target."_id" = old."_id"
)
SELECT "_id"::text AS last FROM step ORDER BY "_id" DESC LIMIT 1`,
      values: [String(floor), rows, quoteTable(table), ...(after === undefined ? [] : [after])],
    };
  }
}

interface SweepStep {
  readonly floor: bigint;
  readonly after: string | undefined;
  /** How many to look at. */
  readonly rows: number;
  /** What to do about rows that somebody else is writing. */
  readonly locked: "skip" | "wait";
}
