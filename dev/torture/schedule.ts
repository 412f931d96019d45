import { setTimeout as sleep } from "node:timers/promises";
import { between, shuffled } from "../../test/support/random.ts";
import type { Random } from "../../test/support/random.ts";
import type { Fault, Part, TortureContext } from "./fault.ts";

export interface ScheduleOptions {
  readonly faults: readonly Fault[];
  readonly context: TortureContext;
  readonly report: (line: string) => void;
}

const SERVERS: ReadonlySet<Part> = new Set(["mongodbUri", "kafkaBrokers", "schemaRegistryUrl", "postgresUrl"]);

/** Injects random faults, and counts them. */
export class Schedule {
  readonly counts = new Map<string, number>();
  readonly #options: ScheduleOptions;
  readonly #busy = new Set<Part>();
  #lastAwayMs = 0;

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** Injects one fault after the other until `untilMs`. Each kind comes once before any comes again. */
  async run(random: Random, untilMs: number): Promise<void> {
    let deck: Fault[] = [];
    while (Date.now() < untilMs) {
      if (deck.length === 0) deck = shuffled(random, this.#options.faults);
      const index = deck.findIndex(({ touches }) => !touches.some((part) => this.#busy.has(part)));
      const [fault] = index === -1 ? [] : deck.splice(index, 1);
      if (fault !== undefined) await this.#inject(fault, random);
      await sleep(between(random, 200, 3_000));
    }
  }

  /** Whether a fault disturbed a server at any moment since then. */
  serversWereAway(sinceMs: number): boolean {
    return this.#lastAwayMs >= sinceMs || [...this.#busy].some((part) => SERVERS.has(part));
  }

  async #inject({ kind, touches, inject }: Fault, random: Random): Promise<void> {
    for (const part of touches) this.#busy.add(part);
    const startedAt = performance.now();
    this.#options.report(`${kind} …`);
    try {
      await inject(this.#options.context, random);
    } finally {
      for (const part of touches) this.#busy.delete(part);
      if (touches.some((part) => SERVERS.has(part))) this.#lastAwayMs = Date.now();
    }
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.#options.report(`${kind}: healed after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  }
}
