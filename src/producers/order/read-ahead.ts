/** Reads one item of a sequence while its consumer is busy with the one before. */
export class ReadAhead<T> {
  readonly #items: AsyncGenerator<T, void, void>;
  #next: Promise<IteratorResult<T, void>> | undefined;

  constructor(items: AsyncGenerator<T, void, void>) {
    this.#items = items;
  }

  /** The next item, the same until `take`; begins to read it where that has not begun. */
  peek(): Promise<IteratorResult<T, void>> {
    if (this.#next === undefined) {
      this.#next = this.#items.next();
      // Whoever awaits it gets the error; a rejection that nobody awaits yet must not end the process.
      this.#next.catch(() => {});
    }
    return this.#next;
  }

  /** Takes the item that `peek` gave, and begins to read the one after it. */
  take(): void {
    this.#next = undefined;
    void this.peek();
  }

  /** Ends the sequence once a read that is under way has ended. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#items.return();
  }
}
