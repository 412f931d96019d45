import type { HeadraceError } from "../../errors/error.ts";
import { pause, untilAborted } from "../../runtime/waiting.ts";
import { PASSING_SQLSTATES } from "../batches/failure-policy.ts";
import { replayDeadLetters } from "./replay.ts";
import type { ReplayOptions } from "./replay.ts";

const FIRST_DELAY_MS = 1_000;
/** Each try scans the dead-letter topic. */
const MAX_DELAY_MS = 10 * 60_000;
/** A member that starts may find dead letters of an earlier run; other work goes first. */
const START_DELAY_MS = 10_000;

/** A replay that has failed already is not worth the patience of a first try. */
const NO_PATIENCE = { constraintPatienceMs: 0, schemaPatienceMs: 0, passingPatienceMs: 0 };

export type WaitingOptions = Omit<ReplayOptions, "writer" | "filter" | "patience" | "onResult">;

/**
 * Applies dead letters that a foreign key or a unique constraint has refused once it holds: a later record may have
 * brought the missing row, or have freed the value. Until then they stay the same dead letters.
 */
export class WaitingLetters {
  readonly #options: WaitingOptions;
  #nextDelayMs = START_DELAY_MS;
  #wake = new AbortController();

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  /** Hears of each new dead letter. */
  deadLettered(error: HeadraceError): void {
    if (!PASSING_SQLSTATES.has(error.details["sqlstate"] ?? "")) return;
    this.#nextDelayMs = FIRST_DELAY_MS;
    this.#wake.abort();
  }

  /** Tries again and again, ever more rarely, until `signal` aborts. */
  async keepTrying(): Promise<void> {
    const { signal, logger } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const delayMs = this.#nextDelayMs;
      this.#nextDelayMs = Math.min(MAX_DELAY_MS, 2 * delayMs);
      try {
        await untilAborted(this.#wake.signal, () => pause(delayMs, AbortSignal.any([signal, this.#wake.signal])));
        // Others may follow, and the record that they wait for.
        if (this.#wake.signal.aborted) await pause(FIRST_DELAY_MS, signal);
        await this.tryOnce();
      } catch (err) {
        if (!signal.aborted)
          logger.warn({ err }, "cannot replay dead letters that wait for other records; trying again");
      }
    }
  }

  async tryOnce(): Promise<void> {
    const { replayed, superseded } = await replayDeadLetters({
      ...this.#options,
      writer: null,
      filter: { sqlstates: PASSING_SQLSTATES },
      patience: NO_PATIENCE,
    });
    if (replayed + superseded === 0) return;
    this.#nextDelayMs = FIRST_DELAY_MS;
    this.#options.logger.info({ replayed, superseded }, "dead letters applied whose constraints hold now");
  }
}
