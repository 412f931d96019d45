import { hostname } from "node:os";
import type { Kafka } from "kafkajs";
import { countPartitions } from "../kafka/admin.ts";
import type { Logger } from "../runtime/logger.ts";
import { decodeRecord } from "../schemas/decoding/record-decoder.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { consumerGroup, deadLetterTopic } from "../schemas/topics.ts";
import type { MicroBatchLimits } from "./batches/cut-batch.ts";
import type { DeadLetterLimits } from "./batches/dead-letter-window.ts";
import { consume } from "./consumer.ts";
import { createKafkaDeadLetterWriter } from "./dead-letters/topic.ts";
import { createKafkaRecordLog } from "./kafka/record-log.ts";
import type { ConsumerObserver, TableName } from "./ports.ts";
import type { PostgresClient } from "./postgres/client.ts";
import { PostgresSink } from "./postgres/sink.ts";
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
  /** The topics of the collections that the config names: the consumer waits for them before it joins its group. */
  readonly expectedTopics: readonly string[];
  readonly limits: MicroBatchLimits;
  readonly deadLetterLimits: DeadLetterLimits;
  /** How long deletes are remembered; -1: for ever. */
  readonly tombstoneRetentionMs: number;
  /** Asks the producer to copy a collection whose records Kafka has lost. Null: lost records stop the consumer. */
  readonly requestResync: ((collection: string) => Promise<void>) | null;
  /** Reads how far the pipeline is, for the watermarks. */
  readonly openProgress: () => Promise<PipelineProgress>;
  readonly observer: ConsumerObserver;
  readonly logger: Logger;
}

/** Other partitions' records may make a violated constraint hold, and another registry node may know a schema. */
export const PATIENCE = { constraintPatienceMs: 5_000, schemaPatienceMs: 60_000 };

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
  const { name, kafka, registry, replicaOf, requestResync, observer, logger } = options;
  const writer = createKafkaDeadLetterWriter({ kafka, topic: deadLetterTopic(name), pipeline: name, taskId: taskId() });
  const log = createKafkaRecordLog({
    kafka,
    groupId: consumerGroup(name),
    topics: { includes: (topic) => replicaOf(topic) !== undefined, expected: options.expectedTopics },
    logger,
    sessionTimeoutMs: options.sessionTimeoutMs,
  });
  const sink = new PostgresSink(options.postgres, { partitionsOf: (topic) => countPartitions(kafka, topic) });
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const watermarks = { openProgress: options.openProgress, sink, replicaOf, logger };
  const tombstones = { retentionMs: options.tombstoneRetentionMs, logger, signal: either };
  const upkeep = [purgeTombstones(sink, tombstones), keepWatermarks(watermarks, either)];
  const replicated = (topic: string): Replica => replicaOf(topic) ?? unreachable(topic);
  try {
    await consume(
      {
        log,
        sink,
        deadLetters: writer,
        decode: ({ key, value }) => decodeRecord(registry, key, value),
        tableOf: (topic): TableName => replicated(topic).table,
        requestResync: requestResync && ((topic) => requestResync(replicated(topic).collection)),
        limits: options.limits,
        deadLetterLimits: options.deadLetterLimits,
        patience: PATIENCE,
        logger,
        observer,
      },
      { signal, until },
    );
    if (!signal.aborted) await raiseWatermarks(watermarks);
  } finally {
    ended.abort();
    await Promise.all(upkeep);
    await writer.close();
  }
}

function unreachable(topic: string): never {
  throw new Error(`a record came of the topic ${topic}, which the record log does not read`);
}
