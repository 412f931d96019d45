import { setTimeout as sleep } from "node:timers/promises";

/** A sequence without end, read item by item. */
export interface Endless<T> {
  /** @param maxWaitMs how long it may wait for something new before it gives an item without news, ms */
  next(maxWaitMs: number): Promise<T>;
  close(): Promise<void>;
}

/** Reads the next item of a sequence while its consumer works on the one before. */
export class ReadAhead<T> {
  readonly #items: Endless<T>;
  readonly #closing = new AbortController();
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

  /** Drops the item that `peek` gave, and begins to read the one after it. @param delayMs before the read begins */
  take(maxWaitMs: number, delayMs = 0): void {
    this.#next = this.#read(maxWaitMs, delayMs);
  }

  /** Waits until a read in progress has ended, and closes the sequence. A read that has not begun never does. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#next.catch(() => {});
    await this.#items.close();
  }

  #read(maxWaitMs: number, delayMs = 0): Promise<T> {
    const next = delayMs > 0 ? this.#readLater(maxWaitMs, delayMs) : this.#items.next(maxWaitMs);
    // peek() gives the error to its caller. Until then it must not end the process as an unhandled rejection.
    next.catch(() => {});
    return next;
  }

  async #readLater(maxWaitMs: number, delayMs: number): Promise<T> {
    await sleep(delayMs, undefined, { signal: this.#closing.signal });
    return await this.#items.next(maxWaitMs);
  }
}
