/** A sequence without end, read item by item. */
export interface Endless<T> {
  /** @param maxWaitMs how long it may wait for something new before it gives an item without news, ms */
  next(maxWaitMs: number): Promise<T>;
  close(): Promise<void>;
}

/** Reads the next item of a sequence while its consumer works on the one before. */
export class ReadAhead<T> {
  readonly #items: Endless<T>;
  #next: Promise<T>;

  /** Begins to read the first item. */
  constructor(items: Endless<T>, maxWaitMs: number) {
    this.#items = items;
    this.#next = this.#read(maxWaitMs);
  }

  /** The next item. It stays the same until `take`. */
  peek(): Promise<T> {
    return this.#next;
  }

  /** Drops the item that `peek` gave, and begins to read the one after it. */
  take(maxWaitMs: number): void {
    this.#next = this.#read(maxWaitMs);
  }

  /** Waits until a read in progress has ended, and closes the sequence. */
  async close(): Promise<void> {
    await this.#next.catch(() => {});
    await this.#items.close();
  }

  #read(maxWaitMs: number): Promise<T> {
    const next = this.#items.next(maxWaitMs);
    // peek() gives the error to its caller. Until then it must not end the process as an unhandled rejection.
    next.catch(() => {});
    return next;
  }
}
