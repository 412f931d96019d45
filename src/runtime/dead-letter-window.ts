import { HeadraceError } from "../errors/error.ts";

export interface DeadLetterLimits {
  /** How many dead letters the window may hold. */
  readonly max: number;
  /** The window's length, in records. */
  readonly records: number;
}

/**
 * Stops a process when too many of the latest records failed: a wrong table or a wrong mapping must not turn a whole
 * collection into dead letters.
 */
export class DeadLetterWindow {
  readonly #limits: DeadLetterLimits;
  readonly #failure: string;
  #records = 0;
  /** The positions, among all records, of the dead letters within the window. */
  #deadLetters: readonly number[] = [];

  /** @param failure what happens to records that become dead letters, as `records could not be applied` */
  constructor(limits: DeadLetterLimits, failure: string) {
    this.#limits = limits;
    this.#failure = failure;
  }

  /** Counts records that did not fail. */
  succeeded(records: number): void {
    this.#records += records;
  }

  /** Counts a record that is about to become a dead letter. @throws HeadraceError DEAD_LETTER_WINDOW */
  deadLetter(cause: HeadraceError): void {
    const { max, records } = this.#limits;
    this.#records += 1;
    const inWindow = this.#deadLetters.filter((number) => number > this.#records - records);
    this.#deadLetters = [...inWindow, this.#records];
    if (this.#deadLetters.length <= max) return;
    const message = `More than ${max} of the last ${records} ${this.#failure}.`;
    throw new HeadraceError("DEAD_LETTER_WINDOW", { message }, cause);
  }

  /** A window that has counted the same, and counts on by itself. */
  copy(): DeadLetterWindow {
    const copy = new DeadLetterWindow(this.#limits, this.#failure);
    copy.#records = this.#records;
    copy.#deadLetters = this.#deadLetters;
    return copy;
  }
}
