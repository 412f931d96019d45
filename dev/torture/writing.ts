import { setTimeout as sleep } from "node:timers/promises";
import type { ModelWriter } from "../../test/support/model-writer.ts";
import { between } from "../../test/support/random.ts";
import type { Random } from "../../test/support/random.ts";

/** Random writes, one after the other, at changing speed, until `end`. */
export class Writing {
  readonly #writer: ModelWriter;
  readonly #random: Random;
  readonly #done: Promise<void>;
  #ending = false;
  /** The current step. `paused` queues behind it. */
  #step: Promise<void> = Promise.resolve();

  constructor(writer: ModelWriter, random: Random) {
    this.#writer = writer;
    this.#random = random;
    this.#done = this.#run();
    // `end` reports the error.
    this.#done.catch(() => {});
  }

  /** Runs `work` while nothing is written, for faults that would disturb the writer too. */
  async paused(work: () => Promise<void>): Promise<void> {
    const paused = this.#step.then(work);
    this.#step = paused.catch(() => {});
    await paused;
  }

  /** Ends the writing after the current step. @throws the error of a failed write */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#ending) {
      const pauseMs = between(this.#random, 0, 25);
      for (let left = between(this.#random, 50, 500); left > 0 && !this.#ending; left--) {
        const step = this.#step.then(() => this.#writer.step());
        this.#step = step.catch(() => {});
        await step;
        await sleep(pauseMs);
      }
    }
  }
}
