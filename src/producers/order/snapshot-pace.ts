/** If a change was published within this time, chunks are published in small parts, so that no change waits long. */
const BUSY_MS = 1_000;
/** A read seldom gives more parts. */
const MOST_PARTS = 32;
/** The weight of the newest value in the moving average. */
const WEIGHT = 0.125;
/**
 * After a part the snapshot pauses this many times as long as the part took. Changes can go in between, and consumers
 * catch up. docs/performance.md compares three values.
 */
const REST_SHARES = 3;
/** The longest pause: a part that takes very long is not slow because of the load. */
const MOST_REST_MS = 250;

/** Shares Kafka between a snapshot and changes: small parts with pauses while changes come, else everything at once. */
export class SnapshotPace {
  #changedAt = -Infinity;
  /** Moving average of the time that publishing a batch of changes takes. */
  #changeMs = 0;
  #parts = 1;
  #restsUntil = -Infinity;

  /** How many parts may be published in one transaction. */
  get parts(): number {
    return this.#isBusy ? this.#parts : Infinity;
  }

  /** No part may be published before this time of `performance.now()`. */
  get restsUntil(): number {
    return this.#restsUntil;
  }

  /** @param tookMs how long the transaction took that has just ended */
  changePublished(tookMs: number): void {
    this.#changeMs = this.#changeMs === 0 ? tookMs : this.#changeMs + WEIGHT * (tookMs - this.#changeMs);
    this.#changedAt = performance.now();
  }

  /** @param tookMs how long the transaction took that has just ended */
  partsPublished(tookMs: number): void {
    if (!this.#isBusy) {
      this.#parts = 1;
      return;
    }
    // If every transaction takes long (Kafka is far away), larger parts delay a change only a little.
    const extraMs = tookMs - this.#changeMs;
    if (extraMs < this.#changeMs / 2) this.#parts = Math.min(MOST_PARTS, this.#parts * 2);
    else if (extraMs > this.#changeMs * 1.5) this.#parts = Math.max(1, Math.floor(this.#parts / 2));
    this.#restsUntil = performance.now() + Math.min(MOST_REST_MS, REST_SHARES * tookMs);
  }

  get #isBusy(): boolean {
    return performance.now() - this.#changedAt < BUSY_MS;
  }
}
