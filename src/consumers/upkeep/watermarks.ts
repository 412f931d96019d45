import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../runtime/logger.ts";
import { completeTo } from "../../schemas/change-event.ts";
import type { Position, Version } from "../../schemas/change-event.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { isApplied } from "../batches/progress.ts";
import type { TableName, Watermark } from "../ports.ts";
import type { PostgresSink } from "../postgres/sink.ts";

const INTERVAL_MS = 1_000;
/** The pause after a first failure, and the longest pause after several. */
const RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;

/** How far a pipeline is, as its servers know it, whether its processes run or not. */
export interface PipelineProgress {
  /**
   * The newest position of the producer whose events lie before the topics' ends, if these are asked for after this
   * call; null while there is none.
   */
  settledPosition(): Promise<Position | null>;
  /** Where the topics of the collections end now. */
  ends(): Promise<readonly PartitionOffset[]>;
  /** Where the signals topic ends now. */
  signalsEnd(): Promise<bigint>;
  /** Up to where each partition is applied to its table, by `partitionKey`; absent where nothing is. */
  progress(): Promise<ReadonlyMap<string, bigint>>;
  close(): Promise<void>;
}

export interface WatermarkOptions {
  readonly openProgress: () => Promise<PipelineProgress>;
  readonly sink: Pick<PostgresSink, "raiseWatermarks">;
  /** The collection and the table of a topic; undefined for a topic that the pipeline does not replicate. */
  readonly replicaOf: (topic: string) => Replica | undefined;
  readonly logger: Logger;
}

export interface Replica {
  readonly collection: string;
  readonly table: TableName;
}

/**
 * Raises the watermarks every second until `signal` aborts. Every member of the group does this, because each can read the
 * progress of all partitions. After a failure the watermarks stay as they are, and it tries again.
 */
export async function keepWatermarks(options: WatermarkOptions, signal: AbortSignal): Promise<void> {
  for (let retryMs = RETRY_MS; !signal.aborted;) {
    await withWatermarks(options, async (watermarks) => {
      while (!signal.aborted) {
        await watermarks.look();
        retryMs = RETRY_MS;
        await pause(INTERVAL_MS, signal);
      }
    });
    await pause(retryMs, signal);
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  }
}

/** Raises the watermarks to the present state of the tables. */
export async function raiseWatermarks(options: WatermarkOptions): Promise<void> {
  await withWatermarks(options, async (watermarks) => {
    // The first look makes the claims, the second one confirms them.
    await watermarks.look();
    await watermarks.look();
  });
}

async function withWatermarks(
  options: WatermarkOptions,
  use: (watermarks: Watermarks) => Promise<void>,
): Promise<void> {
  let reader: PipelineProgress | undefined;
  try {
    reader = await options.openProgress();
    await use(new Watermarks(reader, options));
  } catch (err) {
    options.logger.warn({ err }, "cannot raise headrace.watermark");
  } finally {
    await reader?.close();
  }
}

/** A table is complete up to `version` when its progress has reached `ends`. */
interface Claim extends Watermark {
  readonly ends: readonly PartitionOffset[];
}

/**
 * Makes claims and confirms them: reads the producer's position, then the topics' ends, and later whether the progress has
 * reached these ends. A claim stays until it is confirmed: under load, newer ends would always be ahead of the progress.
 */
class Watermarks {
  readonly #reader: PipelineProgress;
  readonly #options: WatermarkOptions;
  /** By topic. */
  readonly #claims = new Map<string, Claim>();
  readonly #raised = new Map<string, Version>();
  /** The state of the producer that the last claims were made from. */
  #seen: string | null = null;

  constructor(reader: PipelineProgress, options: WatermarkOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  async look(): Promise<void> {
    await this.#raise();
    await this.#claim();
  }

  async #raise(): Promise<void> {
    if (this.#claims.size === 0) return;
    const progress = await this.#reader.progress();
    const applied = [...this.#claims].filter(([, { ends }]) => isApplied(ends, progress));
    if (applied.length === 0) return;
    const signals = await this.#reader.signalsEnd();
    const watermarks: Watermark[] = [];
    for (const [topic, claim] of applied) {
      this.#claims.delete(topic);
      this.#seen = null;
      if (claim.signals < signals) continue;
      this.#raised.set(topic, claim.version);
      watermarks.push(claim);
    }
    if (watermarks.length > 0) await this.#options.sink.raiseWatermarks(watermarks);
  }

  async #claim(): Promise<void> {
    const position = await this.#reader.settledPosition();
    if (position === null) return;
    const version = completeTo(position);
    const seen = JSON.stringify(
      [String(version), [...position.snapshots], String(position.signals.offset)],
      bigintAsText,
    );
    if (seen === this.#seen) return;
    const byTopic = Map.groupBy(await this.#reader.ends(), ({ topic }) => topic);
    for (const [topic, ends] of byTopic) {
      const replica = this.#options.replicaOf(topic);
      if (replica === undefined || !isDone(position, replica) || this.#claims.has(topic)) continue;
      if (version <= (this.#raised.get(topic) ?? -1n)) continue;
      this.#claims.set(topic, { table: replica.table, version, ends, signals: position.signals.offset });
    }
    this.#seen = seen;
  }
}

function isDone({ snapshots }: Position, { collection }: Replica): boolean {
  return snapshots.get(collection)?.state === "done";
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
