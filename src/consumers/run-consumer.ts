import { createHash } from "node:crypto";
import { hostname } from "node:os";
import type { Kafka } from "kafkajs";
import { fetchConfirmedTopicIds, fetchTopicIds } from "../kafka/topic-ids.ts";
import { countPartitions, fetchEndOffsets } from "../kafka/topics.ts";
import type { DeadLetterLimits } from "../runtime/dead-letter-window.ts";
import type { Logger } from "../runtime/logger.ts";
import { START_PATIENCE, logRetries, retry } from "../runtime/retry.ts";
import { decodeRecord } from "../schemas/decoding/record-decoder.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { consumerGroup, deadLetterTopic, signalsTopic } from "../schemas/topics.ts";
import type { MicroBatchLimits } from "./batches/cut-batch.ts";
import { createRetrier } from "./batches/failure-policy.ts";
import { consume } from "./consumer.ts";
import { PostgresArchive } from "./dead-letters/archive.ts";
import { LetterKeeper } from "./dead-letters/keep-letters.ts";
import { keyOfDeadLetter } from "./dead-letters/key.ts";
import { createKafkaDeadLetterReader, createKafkaDeadLetterWriter } from "./dead-letters/topic.ts";
import { WaitingLetters } from "./dead-letters/waiting-letters.ts";
import { createKafkaRecordLog } from "./kafka/record-log.ts";
import type { ConsumerObserver, LogRecord, TableName } from "./ports.ts";
import { readDatabaseIdentity } from "./postgres/catalog.ts";
import type { PostgresClient } from "./postgres/client.ts";
import { INTERNAL_SCHEMA } from "./postgres/internal-tables.ts";
import { PostgresSink } from "./postgres/sink.ts";
import { Admission } from "./register/admission.ts";
import type { WantedTable } from "./register/facts.ts";
import { PostgresRegister } from "./register/postgres-register.ts";
import { slowMicroBatches } from "./slow-micro-batches.ts";
import { purgeTombstones } from "./upkeep/purge-tombstones.ts";
import { keepWatermarks, raiseWatermarks } from "./upkeep/watermarks.ts";
import type { PipelineProgress, Replica } from "./upkeep/watermarks.ts";

export interface ConsumerOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly kafka: Kafka;
  /** A member that sends no heartbeat for this long leaves the group. */
  readonly sessionTimeoutMs: number;
  /** The caller closes it. */
  readonly postgres: PostgresClient;
  readonly registry: SchemaRegistry;
  /** The collection and the table of a topic; undefined for a topic that the pipeline does not replicate. */
  readonly replicaOf: (topic: string) => Replica | undefined;
  /** The tables of the config's collections, and of those of the topics that the pipeline replicates. */
  readonly wantedTables: (topics: readonly string[]) => readonly WantedTable[];
  /** The topics of the collections that the config names: the consumer waits for them before it joins its group. */
  readonly expectedTopics: readonly string[];
  readonly limits: MicroBatchLimits;
  readonly deadLetterLimits: DeadLetterLimits;
  /** How long deletes are remembered; -1: for ever. */
  readonly tombstoneRetentionMs: number;
  /** @throws HeadraceError KAFKA_FORBIDDEN if this user lacks a right that a consumer of the topics needs */
  readonly requireRights: (topics: readonly string[]) => Promise<void>;
  /** The MongoDB database. */
  readonly database: string;
  /** When this process was started, ms since 1970. */
  readonly startedAtMs: number;
  /** Which collections go into which tables, as text. */
  readonly mapping: string;
  /** Asks the producer to copy a collection again, with a sweep at the end. @returns the offset of the signal */
  readonly requestResync: (collection: string) => Promise<bigint>;
  /** What to do about a topic whose records are lost. */
  readonly onRecordsLost: "fail" | "resnapshot";
  /** Reads how far the pipeline is, for the watermarks. */
  readonly openProgress: () => Promise<PipelineProgress>;
  readonly observer: ConsumerObserver;
  /** Micro-batches that take longer than this from MongoDB's commit, ms, are logged with their stages. Null: none. */
  readonly traceSlowMs: number | null;
  readonly logger: Logger;
}

/** Other partitions' records may make a violated constraint hold, and another registry node may know a schema. */
export const PATIENCE = { constraintPatienceMs: 5_000, schemaPatienceMs: 60_000, passingPatienceMs: 60_000 };

/** Names this process in dead letters. */
export function taskId(): string {
  return `${hostname()}/${process.pid}`;
}

/**
 * Runs one consumer of a pipeline until `signal` aborts or the stored progress has reached `until`.
 * @throws HeadraceError
 */
export async function runConsumer(
  options: ConsumerOptions,
  { signal, until }: { signal: AbortSignal; until?: Promise<readonly PartitionOffset[]> | undefined },
): Promise<void> {
  const { name, kafka, registry, replicaOf, observer, traceSlowMs, logger } = options;
  const writer = createKafkaDeadLetterWriter({ kafka, topic: deadLetterTopic(name), pipeline: name, taskId: taskId() });
  const log = createKafkaRecordLog({
    kafka,
    groupId: consumerGroup(name),
    topics: { includes: (topic) => replicaOf(topic) !== undefined, expected: options.expectedTopics },
    requireRights: options.requireRights,
    config: {
      fingerprint: await createRetrier({ patience: PATIENCE, logger }, { signal })(() => fingerprintOf(options)),
      startedAtMs: options.startedAtMs,
    },
    logger,
    sessionTimeoutMs: options.sessionTimeoutMs,
  });
  const sink: PostgresSink = new PostgresSink(options.postgres, {
    partitionsOf: (topic) => countPartitions(kafka, topic),
    onTableReplaced: () => admission.again(),
  });
  const admission = admissionTo(sink, options);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const watermarks = { openProgress: options.openProgress, sink, replicaOf, logger };
  const tombstones = { retentionMs: options.tombstoneRetentionMs, logger, signal: either };
  const decode = ({ key, value }: LogRecord) => decodeRecord(registry, key, value);
  const letters = {
    reader: createKafkaDeadLetterReader(kafka, deadLetterTopic(name)),
    outcomes: sink,
    archive: new PostgresArchive({
      client: options.postgres,
      internalSchema: INTERNAL_SCHEMA,
      prepare: () => sink.prepareInternal(),
      topic: deadLetterTopic(name),
    }),
    keyOf: (record: LogRecord) => keyOfDeadLetter(registry, record),
    tableOf: (topic: string) => replicaOf(topic)?.table,
    presentTopicIds: (topics: readonly string[]) => fetchTopicIds(kafka, topics),
    logger,
    signal: either,
  };
  const waiting = new WaitingLetters({ ...letters, decode, sink });
  const keeper = new LetterKeeper(letters);
  const upkeep = [
    purgeTombstones(sink, tombstones),
    keepWatermarks(watermarks, either),
    waiting.keepTrying(),
    keeper.keepOn(),
  ];
  const replicated = (topic: string): Replica => replicaOf(topic) ?? unreachable(topic);
  try {
    await consume(
      {
        log,
        sink,
        admission,
        deadLetters: writer,
        decode,
        tableOf: (topic): TableName => replicated(topic).table,
        requestResync: options.onRecordsLost === "fail" ? null : (topic) => admission.copyAgain(topic),
        limits: options.limits,
        deadLetterLimits: options.deadLetterLimits,
        patience: PATIENCE,
        logger,
        observer: {
          ...observer,
          ...(traceSlowMs === null ? {} : { timed: slowMicroBatches({ slowMs: traceSlowMs, logger }) }),
          deadLettered: (record, error) => {
            observer.deadLettered(record, error);
            waiting.deadLettered(error);
            keeper.deadLettered();
          },
        },
      },
      { signal, until },
    );
    if (!signal.aborted) {
      const patience = { ...START_PATIENCE, signal, onRetry: logRetries(logger, "looking at the dead letters") };
      await retry(() => waiting.tryOnce(), patience);
      await retry(() => keeper.keepOnce(), patience);
      await raiseWatermarks(watermarks);
    }
  } finally {
    ended.abort();
    await Promise.all(upkeep);
    await keeper.keepLast();
    await writer.close();
  }
}

function admissionTo(sink: PostgresSink, options: ConsumerOptions): Admission {
  const { name: pipeline, kafka, wantedTables, requestResync, onRecordsLost, logger } = options;
  return new Admission({
    pipeline,
    register: new PostgresRegister(options.postgres, INTERNAL_SCHEMA, () => sink.prepareInternal()),
    wantedTables,
    requestCopy: requestResync,
    topicIds: (topics, looksLost) => fetchConfirmedTopicIds(kafka, topics, looksLost),
    signalsEnd: async () => (await fetchEndOffsets(kafka, [signalsTopic(pipeline)]))[0]?.offset ?? 0n,
    onRecordsLost,
    logger,
  });
}

/** The same for consumers that write the same topics into the same tables of the same database. */
async function fingerprintOf({ name, database, mapping, postgres }: ConsumerOptions): Promise<string> {
  const identity = await readDatabaseIdentity(postgres);
  return createHash("sha256")
    .update(JSON.stringify([name, database, mapping, identity]))
    .digest("hex");
}

function unreachable(topic: string): never {
  throw new Error(`a record came of the topic ${topic}, which the record log does not read`);
}
