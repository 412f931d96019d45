import type { Consumer } from "kafkajs";
import type { Logger } from "../../runtime/logger.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";

/** How long the group's offsets may be behind. */
const COMMIT_MS = 1_000;

/**
 * The group's committed offsets, for Kafka's tools to see: what counts is stored with the rows. So nothing waits for
 * these, and one that could not be committed comes with the next.
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

  /** Of partitions that may be another member's by now. */
  forget(): void {
    this.#behind.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Also a commit that is on its way is not repeated any more. */
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
      this.#logger.info({ err }, "the group's offsets could not be committed, they are with the next commit");
      for (const offset of offsets) if (!this.#behind.has(partitionKey(offset))) this.moved(offset);
    }
  }
}
