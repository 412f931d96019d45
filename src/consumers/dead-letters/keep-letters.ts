import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../runtime/logger.ts";
import type { DeadLetterArchive, DeadLetterReader } from "../ports.ts";
import { listKeptLetters } from "./queries.ts";
import type { DeadLetterSources } from "./queries.ts";

/** Far shorter than any retention of dead letters. */
const INTERVAL_MS = 60 * 60 * 1000;
/** The shortest time between two: each scans the dead-letter topic. */
const SPACING_MS = 10_000;
const RETRY_MS = 60_000;
/** A process that stops waits no longer than this for its dead letters to be kept. */
const LAST_MS = 5_000;

export interface KeepingOptions extends Omit<DeadLetterSources, "presentTopicIds"> {
  readonly reader: DeadLetterReader;
  readonly archive: DeadLetterArchive;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Makes the archive hold the open dead letters, so that they outlive their records in Kafka. */
export class LetterKeeper {
  readonly #options: KeepingOptions;
  #wake = new AbortController();
  #written = 0;
  #kept = 0;

  constructor(options: KeepingOptions) {
    this.#options = options;
  }

  /** Hears of each dead letter that this process has written. */
  deadLettered(): void {
    this.#written++;
    this.#wake.abort();
  }

  /**
   * Keeps the open dead letters until `signal` aborts: now, every hour, and soon after new ones: those of this process, and
   * those of the producer. After a failure it tries again a minute later.
   */
  async keepOn(): Promise<void> {
    const { logger, signal } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const end = await this.#end();
      try {
        await this.keepOnce();
        await sleep(SPACING_MS, undefined, { signal }).catch(() => undefined);
        await this.#untilNew(end);
      } catch (err) {
        if (!signal.aborted) logger.warn({ err }, "cannot keep the open dead letters; trying again in a minute");
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** @throws HeadraceError */
  async keepOnce(signal = this.#options.signal): Promise<void> {
    const { archive } = this.#options;
    const written = this.#written;
    const { open, closed } = await listKeptLetters(this.#options, { signal });
    await archive.keep(open);
    if (closed.length > 0) await archive.forget(closed);
    this.#kept = written;
  }

  /** At the end of the process: keeps what is not kept yet. */
  async keepLast(): Promise<void> {
    if (this.#written === this.#kept) return;
    try {
      await this.keepOnce(AbortSignal.timeout(LAST_MS));
    } catch (err) {
      this.#options.logger.warn({ err }, "cannot keep the last dead letters; the next start of a consumer does it");
    }
  }

  /** Resolves when there are new dead letters, or after an hour. */
  async #untilNew(end: bigint | null): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#wake.signal]);
    for (const until = performance.now() + INTERVAL_MS; performance.now() < until && !signal.aborted;) {
      const found = await this.#end();
      if (found !== null && found !== end) return;
      await sleep(SPACING_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Null: Kafka does not say it now. */
  #end(): Promise<bigint | null> {
    return this.#options.reader.end().catch(() => null);
  }
}
