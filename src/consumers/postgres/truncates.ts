import type { TopicPartition } from "../../schemas/partitions.ts";
import type { TableName } from "../ports.ts";
import type { PostgresClient } from "./client.ts";
import { BEGIN } from "./session.ts";
import type { Query, Result } from "./session.ts";
import { TruncateSql } from "./sql/truncate-sql.ts";

const SWEEP_STEP_ROWS = 5_000;

/**
 * Carries out truncates. Every partition of the collection's topic has a record of a truncate, with version v. The
 * consumer that reaches the record marks its partition. With the last mark v becomes the table's floor, and the table is
 * swept: older rows are deleted.
 *
 * A marked partition drops all older changes: those later in the log, those delivered again, and replays. So when all
 * partitions are marked, nothing can write a row older than the floor.
 *
 * The sweep keeps a row whose key has a dead letter that is not older than the floor: the document exists, but could not
 * be applied. It also keeps the row if that letter is closed, because a replay made the row as new as the letter.
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

  /** Queries that mark the partition and, with the last mark, raise the floor. To run under the partition's lock. */
  async marking(partition: TopicPartition, table: TableName, version: bigint): Promise<readonly Query[]> {
    const partitions = await this.#partitionsOf(partition.topic);
    return [
      this.#sql.lockFloor(table),
      this.#sql.mark(partition, table, version),
      this.#sql.raiseFloor(partition.topic, partitions, table, version),
    ];
  }

  /**
   * Sweeps the table in small transactions, where its floor says so. The progress moves past a truncate only afterwards,
   * so that the next delivery of the truncate repeats a sweep that was interrupted.
   */
  async sweep(table: TableName, topic: string): Promise<void> {
    const [found] = await this.#client.run(this.#sql.readUnswept(table));
    const version = found?.rows[0]?.["version"];
    if (typeof version !== "string") return;
    const floor = BigInt(version);
    // A sweep that waits for locked rows deadlocks again and again with upserts that wait for its rows (see
    // docs/performance.md). So the first pass skips locked rows. Few are left for the second: most get a newer version.
    for (const locked of ["skip", "wait"] as const)
      await this.#walk((after) =>
        this.#step(this.#sql.sweepStep(table, { floor, after, rows: SWEEP_STEP_ROWS, locked })),
      );
    const [children] = await this.#client.run(this.#sql.readChildren(table));
    for (const row of children?.rows ?? [])
      await this.#walk((after) =>
        this.#underLock(topic, this.#sql.orphanStep(table, String(row["child"]), { after, rows: SWEEP_STEP_ROWS })),
      );
    await this.#client.run(this.#sql.forgetUnapplied(table, floor), this.#sql.setSwept(table, floor));
  }

  /** @param step takes the step behind a key, and gives the last key that it has looked at; undefined if there was none */
  async #walk(step: (after: string | undefined) => Promise<string | undefined>): Promise<void> {
    let last = await step(undefined);
    while (last !== undefined) last = await step(last);
  }

  async #step(step: Query): Promise<string | undefined> {
    const [result] = await this.#client.run(step);
    return lastOf(result);
  }

  async #underLock(topic: string, step: Query): Promise<string | undefined> {
    return await this.#client.session(async (session) => {
      const [, , result] = await session.run(BEGIN, this.#sql.lockTopic(topic), step);
      await session.commit();
      return lastOf(result);
    });
  }
}

function lastOf(result: Result | undefined): string | undefined {
  const last = result?.rows[0]?.["last"];
  return typeof last === "string" ? last : undefined;
}
