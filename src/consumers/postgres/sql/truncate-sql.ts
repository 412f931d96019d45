import type { TopicPartition } from "../../../schemas/partitions.ts";
import type { TableName } from "../../ports.ts";
import type { Query } from "../session.ts";
import { storedKey } from "./stored-key.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

/** Builds the queries of truncates. Pure. */
export class TruncateSql {
  readonly #schema: string;

  /** @param schema the schema of Headrace's own tables */
  constructor(schema: string) {
    this.#schema = quoteIdentifier(schema);
  }

  /** Lets one transaction at a time mark and count: two at once would not see each other's marks. */
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
   * Raises the floor to the version that all partitions of the topic have marked. A truncate with the floor's own version
   * may be another one, because MongoDB's cluster time stands still while nothing happens. So the table is swept again.
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

  /** A row of `version` where the table still has to be swept. */
  readUnswept(table: TableName): Query {
    return {
      name: "headrace_read_unswept",
      text: `SELECT version FROM ${this.#schema}.floors WHERE relation = $1 AND NOT swept`,
      values: [quoteTable(table)],
    };
  }

  /** Deletes versions that no longer spare a row from a sweep. */
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
   * Looks at the next rows by `_id` and deletes those older than `floor`, except for keys with a newer dead letter. Returns
   * one row with `last`, the last key that it looked at, as text; no row if there is no key after `after`. It goes by key
   * and not by ctid: a row keeps its key when another session updates it, and in a partitioned table a ctid is not unique.
   */
  sweepStep(table: TableName, { floor, after, rows, locked }: SweepStep): Query {
    const name = quoteTable(table);
    // Without a cast, the parameter has the column's type.
    const behind = after === undefined ? "" : `WHERE "_id" > $4`;
    return {
      text: `WITH step AS (
  SELECT "_id" FROM ${name} ${behind} ORDER BY "_id" LIMIT $2
), old AS (
  SELECT target."_id" FROM step JOIN ${name} AS target USING ("_id")
  WHERE (target."_version" IS NULL OR target."_version" < $1) AND NOT EXISTS (
    SELECT FROM ${this.#schema}.unapplied WHERE relation = $3 AND key = ${storedKey('target."_id"::text')} AND version >= $1)
  FOR UPDATE OF target${locked === "skip" ? " SKIP LOCKED" : ""}
), swept AS (
  DELETE FROM ${name} AS target USING old WHERE target."_id" = old."_id"
)
SELECT "_id"::text AS last FROM step ORDER BY "_id" DESC LIMIT 1`,
      values: [String(floor), rows, quoteTable(table), ...(after === undefined ? [] : [after])],
    };
  }

  /**
   * Waits for all transactions that write keys of the topic, and keeps others waiting. In the order of the partitions, so that
   * two of these do not deadlock.
   */
  lockTopic(topic: string): Query {
    return {
      name: "headrace_lock_topic",
      text: `SELECT FROM ${this.#schema}.progress WHERE topic = $1 ORDER BY partition FOR UPDATE`,
      values: [topic],
    };
  }

  /** Rows of `child`: the tables of the children. */
  readChildren(table: TableName): Query {
    return {
      name: "headrace_read_children",
      text: `SELECT child FROM ${this.#schema}.children WHERE relation = $1 AND to_regclass(child) IS NOT NULL`,
      values: [quoteTable(table)],
    };
  }

  /**
   * Looks at the next keys in the table of a child and deletes the elements of documents that are gone. To run behind
   * `lockTopic`: a transaction that inserts a document again does not write elements that are already there. Returns one row with
   * `last` as `sweepStep` does.
   * @param child as `quoteTable` writes it
   */
  orphanStep(table: TableName, child: string, { after, rows }: Pick<SweepStep, "after" | "rows">): Query {
    const behind = after === undefined ? "" : `WHERE "_parent" > $2`;
    return {
      text: `WITH step AS (
  SELECT "_parent" FROM ${child} ${behind} GROUP BY "_parent" ORDER BY "_parent" LIMIT $1
), swept AS (
  DELETE FROM ${child} AS target USING step WHERE target."_parent" = step."_parent"
    AND NOT EXISTS (SELECT FROM ${quoteTable(table)} AS document WHERE document."_id" = target."_parent")
)
SELECT "_parent"::text AS last FROM step ORDER BY "_parent" DESC LIMIT 1`,
      values: [rows, ...(after === undefined ? [] : [after])],
    };
  }
}

interface SweepStep {
  readonly floor: bigint;
  readonly after: string | undefined;
  /** How many rows to look at. */
  readonly rows: number;
  /** What to do about rows that another session is writing. */
  readonly locked: "skip" | "wait";
}
