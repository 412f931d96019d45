import { errorKind } from "../../errors/error.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import { aboveFloor } from "../batches/fold-batch.ts";
import type { RowGroup } from "../batches/fold-batch.ts";
import type { LogStretch } from "../ports.ts";
import type { PostgresClient } from "./client.ts";
import type { Query } from "./session.ts";
import type { SinkSql } from "./sql/sink-sql.ts";
import { copyStatement, groupStatements } from "./sql/upsert-sql.ts";
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
/** COPY is for the bulk of a snapshot or of many inserts. */
const LEAST_COPIED = 100;
/** After a COPY that failed, most likely because the rows exist: copying again would cost each batch a second transaction. */
const NO_COPY_MS = 60_000;

/**
 * Applies a batch in one round trip: the statements go out before PostgreSQL has told what it finds under the partition's
 * lock, on the assumption that it finds the same as the transaction before. The transaction fails where it does not, or
 * where the progress is not the expected one. Then nothing is written, and the caller applies the batch in two round trips.
 */
export class OneTrip {
  readonly #client: PostgresClient;
  readonly #sql: SinkSql;
  readonly #known = new Map<string, Known>();
  /** By partition: until when nothing is copied, on the clock of `performance.now()`. */
  readonly #upsertsUntil = new Map<string, number>();

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
    let copies = false;
    try {
      const prepared = await prepare();
      if (!haveSameColumns(prepared)) return false;
      await this.#client.session(async (session) => {
        copies = !session.isPooled && this.#canCopy(stretch, prepared, known);
        await session.transact(...this.#queries(stretch, prepared, known, copies));
      });
      return true;
    } catch (error) {
      this.#known.delete(partitionKey(stretch));
      if (errorKind(error) === "retryable" && !isTableChange(error)) throw error;
      if (copies) this.#upsertsUntil.set(partitionKey(stretch), performance.now() + NO_COPY_MS);
      return false;
    }
  }

  #canCopy(stretch: LogStretch, prepared: readonly Prepared[], known: UnderLock): boolean {
    if (known.hasTombstones || performance.now() < (this.#upsertsUntil.get(partitionKey(stretch)) ?? 0)) return false;
    const [only, ...others] = prepared;
    if (only === undefined || others.length > 0) return false;
    const { upserts, deletes } = only.group;
    return (
      upserts.length >= LEAST_COPIED && deletes.length === 0 && upserts.every(({ op }) => op === "r" || op === "c")
    );
  }

  #queries(
    stretch: LogStretch,
    prepared: readonly Prepared[],
    { floor, hasTombstones }: UnderLock,
    copies: boolean,
  ): readonly Query[] {
    const filledColumns = prepared[0]?.sql.filledColumns ?? 0;
    const statements = prepared.flatMap(({ sql, group }) => {
      const applied = aboveFloor(group, floor);
      return copies ? [copyStatement(sql, applied)] : groupStatements(sql, applied, hasTombstones);
    });
    return [
      this.#sql.moveExpectedProgress(stretch),
      this.#sql.requireUnderLock(stretch, { floor, hasTombstones, filledColumns }),
      ...statements,
    ];
  }
}

/** False also where there is nothing to write. */
function haveSameColumns([first, ...others]: readonly Prepared[]): boolean {
  return first !== undefined && others.every(({ sql }) => sql.filledColumns === first.sql.filledColumns);
}
