import { errorKind } from "../../errors/error.ts";
import type { TransactionQueries } from "../../postgres/session-settings.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import { aboveFloor } from "../batches/fold-batch.ts";
import type { RowGroup } from "../batches/fold-batch.ts";
import type { LogStretch } from "../ports.ts";
import type { PostgresClient } from "./client.ts";
import { groupStatements } from "./sql/group-statements.ts";
import type { SinkSql } from "./sql/sink-sql.ts";
import { isTableChange } from "./table-errors.ts";
import type { PreparedTable } from "./tables.ts";

/** The rows of one RowSchema, and the statements that write them. */
export interface Prepared {
  readonly group: RowGroup;
  readonly sql: PreparedTable;
}

/** What a transaction has found under its partition's lock. */
export interface UnderLock {
  /** The version of the partition's newest truncate. Older changes are not applied. */
  readonly floor: bigint | undefined;
  readonly hasTombstones: boolean;
}

interface Known extends UnderLock {
  /** On the clock of `performance.now()`, ms. */
  readonly foundAt: number;
}

/** After this the state is looked up again: a table whose last tombstone was purged is written to faster. */
const KNOWN_MS = 60_000;
/**
 * Applies a batch in one round trip: the statements go out before PostgreSQL has told what it finds under the partition's
 * lock, on the assumption that it finds the same as the transaction before. The transaction fails where it does not, or
 * where the progress is not the expected one. Then nothing is written, and the caller applies the batch in two round trips.
 */
export class OneTrip {
  readonly #client: PostgresClient;
  readonly #sql: SinkSql;
  readonly #known = new Map<string, Known>();

  constructor(client: PostgresClient, sql: SinkSql) {
    this.#client = client;
    this.#sql = sql;
  }

  /** Remembers what a transaction has found that is committed now. */
  found(partition: TopicPartition, { floor, hasTombstones }: UnderLock): void {
    this.#known.set(partitionKey(partition), { floor, hasTombstones, foundAt: performance.now() });
  }

  /**
   * @param prepare asked only where the partition's state is known
   * @returns whether the batch is applied and committed
   * @throws HeadraceError, retryable, where the server failed; the transaction may or may not be committed
   */
  async apply(stretch: LogStretch, prepare: () => Promise<readonly Prepared[]>): Promise<boolean> {
    const known = this.#known.get(partitionKey(stretch));
    if (known === undefined || performance.now() - known.foundAt > KNOWN_MS) return false;
    try {
      const prepared = await prepare();
      const queries = this.#queries(stretch, prepared, known);
      if (queries === null) return false;
      await this.#client.session((session) => session.transact(queries));
      return true;
    } catch (error) {
      this.#known.delete(partitionKey(stretch));
      if (errorKind(error) === "retryable" && !isTableChange(error)) throw error;
      return false;
    }
  }

  #queries(stretch: LogStretch, prepared: readonly Prepared[], known: UnderLock): TransactionQueries | null {
    const [first, ...others] = prepared;
    if (first === undefined || others.some(({ sql }) => sql.filledColumns !== first.sql.filledColumns)) return null;
    return {
      conditions: [
        this.#sql.moveExpectedProgress(stretch),
        this.#sql.requireUnderLock(stretch, { ...known, filledColumns: first.sql.filledColumns }),
      ],
      writes: prepared.flatMap(({ sql, group }) =>
        groupStatements(sql, aboveFloor(group, known.floor), known.hasTombstones),
      ),
    };
  }
}
