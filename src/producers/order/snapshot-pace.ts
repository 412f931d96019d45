/** While changes have come within this time, chunks are published in small parts, so that none waits long. */
const BUSY_MS = 1_000;
/** More are seldom read at once. */
const MOST_PARTS = 32;
/** How much of the mean each change makes up. */
const WEIGHT = 0.125;
/**
 * The next part waits for so many times what the last one took: a change that is on its way need not wait for it, and
 * consumers get through what was published. With 50 updates a second on two cores (idle: p50 8 ms, p95 11 ms), one run each:
 * with 1, p50 2.7 and p95 5 times that, 13,500 rows/s; with 2, 2.2 and 4 times, 12,800; with 3, of five, 1.6 and 3.7, 8,800.
 */
const REST_SHARES = 3;
/** What takes longer is not the load's fault. */
const MOST_REST_MS = 250;

/** How the chunks of a snapshot share the way to Kafka with changes: in small parts with rests, or all at once where none come. */
export class SnapshotPace {
  #changedAt = -Infinity;
  /** What publishing some changes takes, on the average. */
  #changeMs = 0;
  #parts = 1;
  #restsUntil = -Infinity;

  /** How many parts may go at once. */
  get parts(): number {
    return this.#isBusy ? this.#parts : Infinity;
  }

  /** No part is to be published before. */
  get restsUntil(): number {
    return this.#restsUntil;
  }

  /** @param tookMs of the transaction that ended now */
  changePublished(tookMs: number): void {
    this.#changeMs = this.#changeMs === 0 ? tookMs : this.#changeMs + WEIGHT * (tookMs - this.#changeMs);
    this.#changedAt = performance.now();
  }

  /** @param tookMs of the transaction that ended now */
  partsPublished(tookMs: number): void {
    if (!this.#isBusy) {
      this.#parts = 1;
      return;
    }
    // Where a transaction itself takes long, as Kafka is far away, larger parts cost a change little.
    const extraMs = tookMs - this.#changeMs;
    if (extraMs < this.#changeMs / 2) this.#parts = Math.min(MOST_PARTS, this.#parts * 2);
    else if (extraMs > this.#changeMs * 1.5) this.#parts = Math.max(1, Math.floor(this.#parts / 2));
    this.#restsUntil = performance.now() + Math.min(MOST_REST_MS, REST_SHARES * tookMs);
  }

  get #isBusy(): boolean {
    return performance.now() - this.#changedAt < BUSY_MS;
  }
}
