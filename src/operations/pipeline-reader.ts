import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { isApplied } from "../consumers/batches/progress.ts";
import type { PostgresClient, Row } from "../consumers/postgres/client.ts";
import type { PipelineProgress } from "../consumers/upkeep/watermarks.ts";
import { HeadraceError } from "../errors/error.ts";
import { fetchEndOffsets, listTopics } from "../kafka/admin.ts";
import type { Logger } from "../runtime/logger.ts";
import { pause } from "../runtime/waiting.ts";
import { completeTo } from "../schemas/change-event.ts";
import type { Position, Version } from "../schemas/change-event.ts";
import { partitionKey } from "../schemas/partitions.ts";
import { collectionOf, positionsTopic, signalsTopic } from "../schemas/topics.ts";
import { kafkaClient, postgresClient } from "./connections.ts";
import { watchPosition } from "./position-watch.ts";
import type { PositionWatch } from "./position-watch.ts";

/** Reads how far the producer and the consumers of a pipeline are. */
export interface PipelineReader extends PipelineProgress {
  /** The producer's committed position; null if there is none yet. */
  position(): Promise<Position | null>;
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
  let watch: PositionWatch | undefined;
  const watching = async (): Promise<PositionWatch | undefined> => (watch ??= await watchIfStarted(kafka, name));
  return {
    position: async () => (await watching())?.latest() ?? null,
    settledPosition: async () => (await watching())?.latestSettled() ?? null,
    async ends() {
      const isOurs = (topic: string) => collectionOf(name, config.mongodb.database, topic) !== undefined;
      return fetchEndOffsets(kafka, await listTopics(kafka, isOurs));
    },
    async signalsEnd() {
      const [end] = await fetchEndOffsets(kafka, [signalsTopic(name)]);
      return end?.offset ?? 0n;
    },
    progress: () => readProgress(postgres),
    async close() {
      await watch?.close();
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

const PRODUCER = "The producer (headrace produce)";

/**
 * Resolves when everything that was in MongoDB at a cluster time is in PostgreSQL: first the producer's position must
 * reach the time and its snapshots must be done, then the consumers must reach the ends that the topics have by then.
 * This function only reads. The pipeline's processes must be running.
 * @throws HeadraceError CATCH_UP_TIMEOUT (retryable); the reason of `signal` when it aborts
 */
export async function waitUntilCaughtUp(reader: PipelineReader, options: CatchUpOptions): Promise<void> {
  const { timeoutMs, signal } = options;
  const deadline = performance.now() + timeoutMs;
  const until = async <T>(what: string, poll: () => Promise<T | false>): Promise<T> => {
    for (;;) {
      const found = await poll();
      if (found !== false) return found;
      if (performance.now() > deadline) throw timedOut(what, timeoutMs);
      await pause(POLL_MS, signal);
    }
  };
  for (;;) {
    const position = await until(PRODUCER, async () => {
      const settled = await reader.settledPosition();
      return isComplete(settled, options) && settled;
    });
    const ends = await reader.ends();
    await until("The consumer (headrace consume)", async () => isApplied(ends, await reader.progress()));
    const signals = await reader.signalsEnd();
    if (position.signals.offset >= signals) return;
    await until(PRODUCER, async () => ((await reader.settledPosition())?.signals.offset ?? 0n) >= signals);
  }
}

function isComplete(
  position: Position | null,
  { clusterTime, collections = [] }: CatchUpOptions,
): position is Position {
  if (position === null || completeTo(position) < clusterTime) return false;
  const { snapshots } = position;
  return [...Object.keys(snapshots), ...collections].every((name) => snapshots[name]?.state === "done");
}

async function watchIfStarted(kafka: Kafka, name: string): Promise<PositionWatch | undefined> {
  const topics = await listTopics(kafka, (topic) => topic === positionsTopic(name));
  return topics.length === 0 ? undefined : watchPosition(kafka, name);
}

async function readProgress(postgres: PostgresClient): Promise<ReadonlyMap<string, bigint>> {
  if ((await query(postgres, "SELECT to_regclass('headrace.progress') AS found"))[0]?.["found"] === null)
    return new Map();
  const rows = await query(postgres, "SELECT topic, partition, next_offset FROM headrace.progress");
  return new Map(
    rows.map(({ topic, partition, next_offset: next }) => [
      partitionKey({ topic: String(topic), partition: Number(partition) }),
      BigInt(String(next)),
    ]),
  );
}

async function query(postgres: PostgresClient, text: string): Promise<readonly Row[]> {
  const [result] = await postgres.run({ text });
  return result?.rows ?? [];
}

function timedOut(what: string, timeoutMs: number): HeadraceError {
  return new HeadraceError("CATCH_UP_TIMEOUT", {
    message: `${what} did not catch up within ${Math.round(timeoutMs / 1000)} s.`,
  });
}
