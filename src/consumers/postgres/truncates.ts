import type { TopicPartition } from "../../schemas/partitions.ts";
import type { TableName } from "../ports.ts";
import type { PostgresClient, Query } from "./client.ts";
import { TruncateSql } from "./truncate-sql.ts";

const SWEEP_STEP_ROWS = 5_000;

/**
 * Truncates. One of version v stands in every partition of the collection's topic. Whoever comes upon it marks its
 * partition; with the last mark v becomes the table's floor, and the rows that are older are swept.
 *
 * A partition's mark also holds off, from then on, whatever older comes in it: later in the log, by a repeated delivery
 * or by a replay. So once all have marked, no row older than the floor can be written any more.
 *
 * A row is left where its key has a dead letter that is not older: its document is there, but could not be applied.
 * Whether that letter is still open need not be known: a replay has made the row as new as it.
 */
export class PostgresTruncates {
  readonly #client: PostgresClient;
  readonly #sql: TruncateSql;
  readonly #partitionsOf: (topic: string) => Promise<number>;

  /** @param partitionsOf how many partitions a topic has */
  constructor(client: PostgresClient, internalSchema: string, partitionsOf: (topic: string) => Promise<number>) {
    this.#client = client;
    this.#sql = new TruncateSql(internalSchema);
    this.#partitionsOf = partitionsOf;
  }

  /** What marks the partition, and with the last one's mark sets the floor; under the partition's lock. */
  async marking(partition: TopicPartition, table: TableName, version: bigint): Promise<readonly Query[]> {
    const partitions = await this.#partitionsOf(partition.topic);
    return [
      this.#sql.lockFloor(table),
      this.#sql.mark(partition, table, version),
      this.#sql.raiseFloor(partition.topic, partitions, table, version),
    ];
  }

  /**
   * Sweeps the table, if its floor asks for it, in small transactions. The offset of a truncate is stored only after
   * this, so that one that was broken off is taken up again with the truncate's next delivery.
   */
  async sweep(table: TableName): Promise<void> {
    const [found] = await this.#client.run(this.#sql.readUnswept(table));
    const version = found?.rows[0]?.["version"];
    if (typeof version !== "string") return;
    const floor = BigInt(version);
    // A sweep that waits for rows and the upserts that wait for its rows would deadlock over and over: on 300,000 rows
    // under load 30 times, which took a minute; so, 2 seconds. Few rows are left for the second pass: whoever holds one
    // most likely makes it new.
    for (const locked of ["skip", "wait"] as const) await this.#walk(table, floor, locked);
    await this.#client.run(this.#sql.forgetUnapplied(table, floor), this.#sql.setSwept(table, floor));
  }

  async #walk(table: TableName, floor: bigint, locked: "skip" | "wait"): Promise<void> {
    for (let after: string | undefined, done = false; !done;) {
      const [step] = await this.#client.run(
        this.#sql.sweepStep(table, { floor, after, rows: SWEEP_STEP_ROWS, locked }),
      );
      const last = step?.rows[0]?.["last"];
      if (typeof last === "string") after = last;
      else done = true;
    }
  }
}
