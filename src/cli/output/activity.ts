import type { ConsumerObserver } from "../../consumers/ports.ts";
import type { OplogReport, ProducerObserver, SourceBatch } from "../../producers/ports.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import { versionToMs } from "../../schemas/change-event.ts";
import type { Position } from "../../schemas/change-event.ts";
import { partitionKey } from "../../schemas/partitions.ts";

export interface ActivityOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The table of a topic, for the labels of metrics. */
  readonly tableOf: (topic: string) => string;
  /** The table of a collection, for the same labels. */
  readonly tableOfCollection: (collection: string) => string;
}

/** What a process has done since its start, for metrics, logs and the live line. */
export class Activity {
  published = 0;
  applied = 0;
  deadLetters = 0;
  /** The last committed position. */
  position: Position | null = null;
  /** How much time the oplog holds; null if unknown. */
  oplogWindowMs: number | null = null;
  readonly #lags = new Map<string, bigint>();
  readonly #options: ActivityOptions;

  constructor(options: ActivityOptions) {
    this.#options = options;
    options.metrics.oplogWindow.set(NaN);
  }

  /** How many offsets this process has still to apply, as far as it knows. */
  get lag(): bigint {
    return [...this.#lags.values()].reduce((sum, lag) => sum + lag, 0n);
  }

  readonly producer: ProducerObserver = {
    published: (batch) => this.#onPublished(batch),
    historyLost: () => this.#options.metrics.historyLost.inc({ log: "oplog" }),
    transactionTooSlow: () => this.#options.metrics.slowTransactions.inc(),
    oplog: (report) => this.#onOplog(report),
    misfit: (collection, column) => this.#options.metrics.misfits.inc({ collection, column }),
    deadLetter: (collection) => {
      this.deadLetters++;
      this.#options.metrics.deadLetters.inc({ table: this.#options.tableOfCollection(collection) });
    },
  };

  readonly consumer: ConsumerObserver = {
    historyLost: () => this.#options.metrics.historyLost.inc({ log: "kafka" }),
    applied: (batch, records, nextOffset) => {
      const { topic, partition, highWatermark } = batch;
      this.applied += records;
      this.#options.metrics.rowsApplied.inc({ table: this.#options.tableOf(topic) }, records);
      const lag = highWatermark > nextOffset ? highWatermark - nextOffset : 0n;
      this.#lags.set(partitionKey(batch), lag);
      this.#options.metrics.lag.set({ topic, partition }, Number(lag));
    },
    deadLettered: ({ topic }) => {
      this.deadLetters++;
      this.#options.metrics.deadLetters.inc({ table: this.#options.tableOf(topic) });
    },
  };

  #onOplog({ windowMs, positionAgeMs }: OplogReport): void {
    this.oplogWindowMs = windowMs;
    this.#options.metrics.oplogWindow.set(windowMs === null ? NaN : windowMs / 1000);
    this.#options.metrics.positionAge.set(positionAgeMs / 1000);
  }

  #onPublished({ events, position }: SourceBatch): void {
    const { metrics } = this.#options;
    for (const [collection, ofCollection] of Map.groupBy(events, (event) => event.collection)) {
      for (const [op, { length }] of Map.groupBy(ofCollection, (event) => event.op)) {
        metrics.eventsPublished.inc({ collection, op }, length);
      }
    }
    metrics.positionTimestamp.set(versionToMs(position.clusterTime) / 1000);
    this.published += events.length;
    this.#logSnapshots(position);
    this.position = position;
  }

  #logSnapshots({ snapshots }: Position): void {
    const { logger } = this.#options;
    for (const [collection, { state }] of snapshots) {
      const before = this.position?.snapshots.get(collection)?.state;
      if (state === "running" && before !== "running") logger.info({ collection }, "snapshot started");
      if (state === "done" && before === "running") logger.info({ collection }, "snapshot done");
    }
  }
}
