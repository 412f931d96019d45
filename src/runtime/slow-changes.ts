import type { Logger } from "./logger.ts";

/** The way of a change through some stages. All times are in ms since 1970. */
export interface Way {
  readonly startedAt: number;
  /** When each stage ended, in order. The first times may be from other machines' clocks. */
  readonly ends: Readonly<Record<string, number>>;
}

/** Where a change spent its time, in whole ms. The stages sum up to the total. */
export interface StageTimes {
  readonly totalMs: number;
  /** The longest stage. */
  readonly slowest: string;
  readonly stagesMs: Readonly<Record<string, number>>;
  /** A stage whose start has a clock that is ahead of that of its end; null if there is none. The stage counts as 0. */
  readonly skew: { readonly stage: string; readonly aheadMs: number } | null;
}

/**
 * The times of the stages. The last end has this machine's clock, so it is right: a start that is later than the end of
 * its stage is taken for that end.
 */
export function stageTimes({ startedAt, ends }: Way): StageTimes {
  const names = Object.keys(ends);
  const times = [startedAt, ...Object.values(ends)];
  const last = times.at(-1) ?? startedAt;
  const stages: [string, number][] = [];
  let skew: StageTimes["skew"] = null;
  let slowest = names.at(-1) ?? "";
  let mostMs = 0;
  let endMs = 0;
  let totalMs = 0;
  for (const [index, name] of [...names.entries()].toReversed()) {
    // Relative to the last end, so that the rounded stages sum up to the rounded total.
    const beganMs = Math.round((times[index] ?? last) - last);
    const aheadMs = beganMs - endMs;
    if (aheadMs > (skew?.aheadMs ?? 0)) skew = { stage: name, aheadMs };
    const tookMs = Math.max(0, -aheadMs);
    stages.unshift([name, tookMs]);
    if (tookMs >= mostMs) [slowest, mostMs] = [name, tookMs];
    endMs -= tookMs;
    totalMs += tookMs;
  }
  return { totalMs, slowest, stagesMs: Object.fromEntries(stages), skew };
}

/** Lets a number of lines pass in each stretch of time, and counts the others. */
export class LineLimit {
  readonly #most: number;
  readonly #everyMs: number;
  #passed = 0;
  #leftOut = 0;
  #endsAt = -Infinity;

  constructor(most: number, everyMs: number) {
    this.#most = most;
    this.#everyMs = everyMs;
  }

  /** The time at which the present stretch ends, ms. */
  get endsAt(): number {
    return this.#endsAt;
  }

  /** Whether a line passes at this time, ms. */
  passes(now: number): boolean {
    if (now >= this.#endsAt) {
      this.#endsAt = now + this.#everyMs;
      this.#passed = 0;
    }
    const passes = this.#passed < this.#most;
    if (passes) this.#passed++;
    else this.#leftOut++;
    return passes;
  }

  /** How many lines did not pass since the last call. */
  takeLeftOut(): number {
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}

export interface SlowChangesOptions {
  /** What took longer than this, ms, is logged. */
  readonly slowMs: number;
  readonly logger: Pick<Logger, "warn">;
}

const MOST_LINES = 10;
const EVERY_MS = 1_000;
/** Clocks of machines that are kept in time differ by less, ms. */
const USUAL_SKEW_MS = 10;

/** Logs where slow changes spent their time: some lines a second, then one with the number of the others. */
export class SlowChanges {
  readonly #options: SlowChangesOptions;
  readonly #limit = new LineLimit(MOST_LINES, EVERY_MS);
  #willTellLeftOut = false;
  #hasToldSkew = false;

  constructor(options: SlowChangesOptions) {
    this.#options = options;
  }

  /**
   * @param what that went this way: `batch`
   * @param fieldsOf more fields of the line: names, offsets and counts, never a value of a document
   */
  report(what: string, way: Way, fieldsOf: () => object): void {
    const { skew, ...times } = stageTimes(way);
    if (skew !== null && skew.aheadMs > USUAL_SKEW_MS) this.#tellSkew(skew);
    if (times.totalMs <= this.#options.slowMs) return;
    const now = performance.now();
    if (this.#limit.passes(now)) this.#options.logger.warn({ ...fieldsOf(), ...times }, `slow ${what}`);
    else this.#tellLeftOut(what, this.#limit.endsAt - now);
  }

  /** Once, because clocks stay wrong. */
  #tellSkew(skew: object): void {
    if (this.#hasToldSkew) return;
    this.#hasToldSkew = true;
    this.#options.logger.warn(
      skew,
      "the machines' clocks differ: a stage ended before it began and counts as 0 ms; others may be too long or too short",
    );
  }

  #tellLeftOut(what: string, delayMs: number): void {
    if (this.#willTellLeftOut) return;
    this.#willTellLeftOut = true;
    const tell = (): void => {
      this.#willTellLeftOut = false;
      this.#options.logger.warn({ leftOut: this.#limit.takeLeftOut() }, `slow ${what}: further lines left out`);
    };
    setTimeout(tell, delayMs).unref();
  }
}
