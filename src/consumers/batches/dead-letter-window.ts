import { HeadraceError } from "../../errors/error.ts";

export interface DeadLetterLimits {
  /** So many dead letters are let through within the window. */
  readonly maxDeadLetters: number;
  /** The window's length. */
  readonly windowRecords: number;
}

/** Stops the consumer when too many of the latest records failed: a wrong table must not drain a topic into the DLQ. */
export class DeadLetterWindow {
  readonly #limits: DeadLetterLimits;
  #records = 0;
  /** The number that each dead letter within the window had among the records. */
  #deadLetters: number[] = [];

  constructor(limits: DeadLetterLimits) {
    this.#limits = limits;
  }

  /** Counts records that were applied. */
  applied(records: number): void {
    this.#records += records;
  }

  /** Counts a record that is about to be dead-lettered. @throws HeadraceError DEAD_LETTER_WINDOW */
  deadLetter(cause: unknown): void {
    const { maxDeadLetters, windowRecords } = this.#limits;
    this.#records += 1;
    this.#deadLetters = this.#deadLetters.filter((number) => number > this.#records - windowRecords);
    this.#deadLetters.push(this.#records);
    if (this.#deadLetters.length <= maxDeadLetters) return;
    throw new HeadraceError(
      "DEAD_LETTER_WINDOW",
      {
        message: `More than ${maxDeadLetters} of the last ${windowRecords} records could not be applied.`,
      },
      cause,
    );
  }
}
