import { HeadraceError } from "../../errors/error.ts";

export interface DeadLetterLimits {
  /** How many dead letters the window may hold. */
  readonly maxDeadLetters: number;
  /** The window's length, in records. */
  readonly windowRecords: number;
}

/** Stops the consumer when too many of the latest records failed: a wrong table must not turn a whole topic into dead letters. */
export class DeadLetterWindow {
  readonly #limits: DeadLetterLimits;
  #records = 0;
  /** The positions, among all records, of the dead letters within the window. */
  #deadLetters: number[] = [];

  constructor(limits: DeadLetterLimits) {
    this.#limits = limits;
  }

  /** Counts records that were applied. */
  applied(records: number): void {
    this.#records += records;
  }

  /** Counts a record that is about to become a dead letter. @throws HeadraceError DEAD_LETTER_WINDOW */
  deadLetter(cause: HeadraceError): void {
    const { maxDeadLetters, windowRecords } = this.#limits;
    this.#records += 1;
    this.#deadLetters = this.#deadLetters.filter((number) => number > this.#records - windowRecords);
    this.#deadLetters.push(this.#records);
    if (this.#deadLetters.length <= maxDeadLetters) return;
    const message = `More than ${maxDeadLetters} of the last ${windowRecords} records could not be applied.`;
    throw new HeadraceError("DEAD_LETTER_WINDOW", { message }, cause);
  }
}
