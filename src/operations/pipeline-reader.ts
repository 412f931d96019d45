import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { isApplied } from "../consumers/batches/progress.ts";
import type { PostgresClient } from "../consumers/postgres/client.ts";
import type { PipelineProgress } from "../consumers/upkeep/watermarks.ts";
import { errorKind, HeadraceError } from "../errors/error.ts";
import { fetchEndOffsets, listTopics } from "../kafka/topics.ts";
import type { Logger } from "../runtime/logger.ts";
import { pause } from "../runtime/waiting.ts";
import { completeTo } from "../schemas/change-event.ts";
import type { Position, Version } from "../schemas/change-event.ts";
import { positionsTopic, signalsTopic } from "../schemas/topics.ts";
import { kafkaClient, postgresClient } from "./connections.ts";
import { oldMappings, RESTART_PRODUCER } from "./old-mappings.ts";
import { watchPosition } from "./position-watch.ts";
import type { PositionWatch } from "./position-watch.ts";
import { judgeTables } from "./register/judged-tables.ts";
import type { JudgedTable } from "./register/judged-tables.ts";
import { judgeProducer } from "./register/producer-verdict.ts";
import type { ProducerVerdict } from "./register/producer-verdict.ts";
import { readProgress } from "./register/stored-progress.ts";
import { tableOf } from "./tables.ts";

/** Reads how far the producer and the consumers of a pipeline are. */
export interface PipelineReader extends PipelineProgress {
  /** The producer's committed position; null if there is none yet. */
  position(): Promise<Position | null>;
  /** The collections whose records the producer has made, up to a position, with another mapping than the config's. */
  oldMappings(position: Position | null): readonly string[];
  /** What a start of the consumer would decide about the tables now. */
  tables(): Promise<readonly JudgedTable[]>;
  /**
   * What a start of the producer would do now about topics and requests that are lost.
   * @param collections as `judgeProducer` takes them
   */
  producer(collections?: readonly string[]): Promise<ProducerVerdict>;
}

/** Connects to Kafka and to PostgreSQL, unless a client of it is given. The caller must close the reader. */
export async function openPipelineReader(
  config: Config,
  logger: Logger,
  shared?: PostgresClient,
): Promise<PipelineReader> {
  const { name } = config;
  const kafka = await kafkaClient(config, logger);
  const postgres = shared ?? postgresClient(config);
  let opening: Promise<PositionWatch | undefined> | undefined;
  const watching = async (): Promise<PositionWatch | undefined> => {
    opening ??= watchIfStarted(kafka, name);
    const watch = await opening.catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    if (watch === undefined) opening = undefined;
    return watch;
  };
  const position = async () => (await watching())?.latest() ?? null;
  return {
    position,
    settledPosition: async () => (await watching())?.latestSettled() ?? null,
    oldMappings: (position) => oldMappings(config, position),
    async ends() {
      // Nobody applies the records of a collection that was taken out of the config.
      const hasTable = (topic: string) => tableOf(config, topic) !== undefined;
      return fetchEndOffsets(kafka, await listTopics(kafka, hasTable));
    },
    async signalsEnd() {
      const [end] = await fetchEndOffsets(kafka, [signalsTopic(name)]);
      return end?.offset ?? 0n;
    },
    progress: () => readProgress(postgres),
    tables: () => judgeTables(config, { kafka, postgres }),
    producer: (collections) => judgeProducer(config, { kafka, position, collections }),
    async close() {
      await (await opening?.catch(() => undefined))?.close();
      if (postgres !== shared) await postgres.close();
    },
  };
}

export interface CatchUpOptions {
  /** Wait until everything up to this cluster time of MongoDB is applied. */
  readonly clusterTime: Version;
  /** Collections whose snapshot must be done, besides those that the producer has started. */
  readonly collections?: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const POLL_MS = 100;
/** How often to look whether a start of the producer or the consumer would be refused. */
const LOOK_MS = 2_000;

/** Who has not caught up, why, and what to do about it if it is known. */
interface LateProcess {
  readonly who: string;
  readonly why?: string;
  readonly remedy?: string;
}

const PRODUCER = (): LateProcess => ({ who: "The producer (headrace produce)" });
const CONSUMER = (): LateProcess => ({ who: "The consumer (headrace consume)" });

function producerWith(old: readonly string[]): LateProcess {
  if (old.length === 0) return PRODUCER();
  const names = old.map((name) => JSON.stringify(name)).join(", ");
  const why = `: it has made the records of ${names} with another mapping than this config's`;
  return { ...PRODUCER(), why, remedy: RESTART_PRODUCER };
}

/**
 * Resolves when everything that was in MongoDB at a cluster time is in PostgreSQL: first the producer's position must
 * reach the time and its snapshots must be done, then the consumers must reach the ends that the topics have by then.
 * This function only reads. The pipeline's processes must be running.
 * @throws HeadraceError CATCH_UP_TIMEOUT (retryable), or the error with which the producer or the consumer would refuse to
 * start; the reason of `signal` when it aborts
 */
export async function waitUntilCaughtUp(reader: PipelineReader, options: CatchUpOptions): Promise<void> {
  const { timeoutMs, signal } = options;
  const deadline = performance.now() + timeoutMs;
  const refusals = new RefusalWatch(reader);
  const until = async <T>(late: () => LateProcess, poll: () => Promise<T | false>): Promise<T> => {
    for (;;) {
      const found = await poll();
      if (found !== false) return found;
      const isOver = performance.now() > deadline;
      await (isOver ? refusals.lookNow() : refusals.look());
      if (isOver) throw timedOut(late(), timeoutMs);
      await pause(POLL_MS, signal);
    }
  };
  for (;;) {
    let old: readonly string[] = [];
    const position = await until(
      () => producerWith(old),
      async () => {
        const settled = await reader.settledPosition();
        old = reader.oldMappings(settled);
        return old.length === 0 && isComplete(settled, options) && settled;
      },
    );
    const ends = await reader.ends();
    await until(CONSUMER, async () => isApplied(ends, await reader.progress()));
    // Also if everything is applied: without its signals topic, the pipeline does not go on.
    await until(PRODUCER, async () => isIntact(await reader.producer()));
    const signals = await reader.signalsEnd();
    if (position.signals.offset < signals) {
      await until(PRODUCER, async () => ((await reader.settledPosition())?.signals.offset ?? 0n) >= signals);
      continue;
    }
    const tables = await until(CONSUMER, async () => settledTables(await reader.tables()));
    if (tables.every(({ copySignal }) => copySignal === null || copySignal < position.signals.offset)) return;
  }
}

/**
 * False while the producer has still to copy what is lost.
 * @throws HeadraceError where it would refuse to start
 */
function isIntact(verdict: ProducerVerdict): boolean {
  if (verdict.kind === "refuse") throw verdict.error;
  return verdict.kind === "same";
}

/**
 * False while the consumer has still to ask for a copy of a collection.
 * @throws HeadraceError where the consumer would refuse a table
 */
function settledTables(tables: readonly JudgedTable[]): readonly JudgedTable[] | false {
  const refusal = refusalIn(tables);
  if (refusal !== undefined) throw refusal;
  return (
    !tables.some(
      ({ decision }) => decision.kind !== "same" && decision.kind !== "accept" && decision.kind !== "register",
    ) && tables
  );
}

function refusalIn(tables: readonly JudgedTable[]): HeadraceError | undefined {
  return tables.flatMap(({ decision }) => (decision.kind === "refuse" ? [decision.error] : []))[0];
}

/** Looks whether the producer or the consumer would refuse to start: then it has ended, and nobody needs to wait for it. */
export class RefusalWatch {
  readonly #reader: PipelineReader;
  #lookedAt = performance.now();

  constructor(reader: PipelineReader) {
    this.#reader = reader;
  }

  /** Looks every other second. @throws HeadraceError the one with which it would refuse */
  async look(): Promise<void> {
    if (performance.now() - this.#lookedAt < LOOK_MS) return;
    await this.lookNow();
  }

  /** @throws HeadraceError the one with which it would refuse */
  async lookNow(): Promise<void> {
    try {
      await requireStarts(this.#reader);
    } catch (error) {
      // A server is unavailable for now; the wait itself goes on.
      if (errorKind(error) !== "retryable") throw error;
    }
    this.#lookedAt = performance.now();
  }
}

/** @throws HeadraceError the one with which the producer or the consumer would refuse to start */
export async function requireStarts(reader: PipelineReader): Promise<void> {
  const tables = reader.tables();
  // Awaited below, unless the producer would refuse.
  tables.catch(() => {});
  isIntact(await reader.producer());
  const refusal = refusalIn(await tables);
  if (refusal !== undefined) throw refusal;
}

function isComplete(
  position: Position | null,
  { clusterTime, collections = [] }: CatchUpOptions,
): position is Position {
  if (position === null || completeTo(position) < clusterTime) return false;
  const { snapshots } = position;
  return [...snapshots.keys(), ...collections].every((name) => snapshots.get(name)?.state === "done");
}

async function watchIfStarted(kafka: Kafka, name: string): Promise<PositionWatch | undefined> {
  const topics = await listTopics(kafka, (topic) => topic === positionsTopic(name));
  return topics.length === 0 ? undefined : watchPosition(kafka, name);
}

function timedOut({ who, why = "", remedy }: LateProcess, timeoutMs: number): HeadraceError {
  return new HeadraceError("CATCH_UP_TIMEOUT", {
    message: `${who} did not catch up within ${Math.round(timeoutMs / 1000)} s${why}.`,
    remedy,
  });
}
