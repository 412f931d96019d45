import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/** What a process counts. Labels are names of things, never values of documents. */
export interface Metrics {
  readonly eventsPublished: Counter<"collection" | "op">;
  readonly positionTimestamp: Gauge;
  readonly positionAge: Gauge;
  readonly oplogWindow: Gauge;
  readonly rowsApplied: Counter<"table">;
  readonly deadLetters: Counter<"table">;
  readonly misfits: Counter<"collection" | "column">;
  /** By the error's code. */
  readonly retries: Counter<"code">;
  /** By where it was lost: `oplog` or `kafka`. */
  readonly historyLost: Counter<"log">;
  readonly lag: Gauge<"topic" | "partition">;
  /** In Prometheus's text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    eventsPublished: new Counter({
      name: "headrace_events_published_total",
      help: "Change events committed to Kafka",
      labelNames: ["collection", "op"],
      registers,
    }),
    positionTimestamp: new Gauge({
      name: "headrace_position_timestamp_seconds",
      help: "Cluster time of the producer's last committed position, in seconds since 1970",
      registers,
    }),
    positionAge: new Gauge({
      name: "headrace_position_age_seconds",
      help: "How much older than MongoDB's newest write the producer's last committed position is",
      registers,
    }),
    oplogWindow: new Gauge({
      name: "headrace_oplog_window_seconds",
      help: "How much time MongoDB's oplog holds; NaN where that is not known",
      registers,
    }),
    rowsApplied: new Counter({
      name: "headrace_rows_applied_total",
      help: "Records committed to PostgreSQL",
      labelNames: ["table"],
      registers,
    }),
    deadLetters: new Counter({
      name: "headrace_dead_letters_total",
      help: "Records written to the dead letter topic",
      labelNames: ["table"],
      registers,
    }),
    misfits: new Counter({
      name: "headrace_misfits_total",
      help: "Values that did not fit their column or were changed to be written",
      labelNames: ["collection", "column"],
      registers,
    }),
    retries: new Counter({
      name: "headrace_retries_total",
      help: "Failures after which something was tried again",
      labelNames: ["code"],
      registers,
    }),
    historyLost: new Counter({
      name: "headrace_history_lost_total",
      help: "How often changes were lost before they were read, and copied anew",
      labelNames: ["log"],
      registers,
    }),
    lag: new Gauge({
      name: "headrace_lag_records",
      help: "Records (control records included) of a partition that are not applied yet",
      labelNames: ["topic", "partition"],
      registers,
    }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
