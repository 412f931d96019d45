import type { Consumer } from "kafkajs";
import type { Logger } from "../../runtime/logger.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";

/** How far the group's offsets may lag. */
const COMMIT_MS = 1_000;

/**
 * Commits the group's offsets, for Kafka's tools only: the offsets that count are stored with the rows. So nothing waits
 * for a commit, and a failed one is repeated with the next.
 */
export class GroupOffsets {
  readonly #consumer: Pick<Consumer, "commitOffsets">;
  readonly #logger: Logger;
  readonly #behind = new Map<string, PartitionOffset>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(consumer: Pick<Consumer, "commitOffsets">, logger: Logger) {
    this.#consumer = consumer;
    this.#logger = logger;
  }

  moved(offset: PartitionOffset): void {
    if (this.#isClosed) return;
    this.#behind.set(partitionKey(offset), offset);
    this.#timer ??= setTimeout(() => void this.commit(), COMMIT_MS);
  }

  /** Drops the waiting offsets: the partitions may belong to another member by now. */
  forget(): void {
    this.#behind.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** After this not even a commit that is on its way is repeated. */
  close(): void {
    this.#isClosed = true;
    this.forget();
  }

  async commit(): Promise<void> {
    const offsets = [...this.#behind.values()];
    this.forget();
    if (offsets.length === 0) return;
    try {
      await this.#consumer.commitOffsets(offsets.map((each) => ({ ...each, offset: String(each.offset) })));
    } catch (err) {
      this.#logger.info({ err }, "committing the group's offsets failed; the next commit includes them");
      for (const offset of offsets) if (!this.#behind.has(partitionKey(offset))) this.moved(offset);
    }
  }
}
