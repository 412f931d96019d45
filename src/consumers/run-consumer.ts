import { hostname } from "node:os";
import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { countPartitions } from "../kafka/admin.ts";
import { kafkaClient, postgresClient, schemaRegistry } from "../operations/connections.ts";
import { openPipelineReader } from "../operations/pipeline-reader.ts";
import { tableOf } from "../operations/tables.ts";
import { sendSignals } from "../producers/kafka/signals.ts";
import type { Logger } from "../runtime/logger.ts";
import { decodeRecord } from "../schemas/decoding/record-decoder.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import { collectionOf, consumerGroup, deadLetterTopic, topicOf } from "../schemas/topics.ts";
import { runConsumer as consume } from "./consumer.ts";
import type { ConsumerObserver } from "./consumer.ts";
import { createKafkaDeadLetterWriter } from "./dead-letters/topic.ts";
import { createKafkaRecordLog } from "./kafka/record-log.ts";
import type { TableName } from "./ports.ts";
import { PostgresSink } from "./postgres/sink.ts";
import { purgeTombstones } from "./upkeep/purge-tombstones.ts";
import { keepWatermarks, raiseWatermarks } from "./upkeep/watermarks.ts";
import type { Replica } from "./upkeep/watermarks.ts";

export interface ConsumingOptions {
  readonly config: Config;
  readonly observer: ConsumerObserver;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Ends when the stored progress has reached these offsets. */
  readonly until?: Promise<readonly PartitionOffset[]> | undefined;
}

/** Other partitions' records may mend a violated constraint, and another registry node may know a schema. */
export const PATIENCE = { constraintPatienceMs: 5_000, schemaPatienceMs: 60_000 };

/** Names this process in dead letters. */
export function taskId(): string {
  return `${hostname()}/${process.pid}`;
}

/** The consumer of a pipeline, from connecting to closing. Resolves at its end, or when `signal` aborts. */
export async function runConsumer({ config, observer, logger, signal, until }: ConsumingOptions): Promise<void> {
  const { name, batch, deadLetters, tombstones } = config;
  const kafka = await kafkaClient(config, logger);
  const client = postgresClient(config);
  const registry = schemaRegistry(config);
  const writer = createKafkaDeadLetterWriter({ kafka, topic: deadLetterTopic(name), pipeline: name, taskId: taskId() });
  const log = createKafkaRecordLog({
    kafka,
    groupId: consumerGroup(name),
    topics: {
      includes: (topic) => tableOf(config, topic) !== undefined,
      expected: Object.keys(config.collections ?? {}).map((each) => topicOf(name, config.mongodb.database, each)),
    },
    logger,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
  });
  const sink = new PostgresSink(client, { partitionsOf: (topic) => countPartitions(kafka, topic) });
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const watermarks = {
    openReader: () => openPipelineReader(config, logger, client),
    sink,
    replicaOf: (topic: string) => replicaOf(config, topic),
    logger,
  };
  const beside = [purgeTombstones(sink, { ...tombstones, logger, signal: either }), keepWatermarks(watermarks, either)];
  try {
    await consume(
      {
        log,
        sink,
        deadLetters: writer,
        decode: ({ key, value }) => decodeRecord(registry, key, value),
        tableOf: (topic) => replicated(config, topic),
        requestResync: config.kafka.onHistoryLost === "fail" ? null : (topic) => requestResync(kafka, config, topic),
        limits: { maxRows: batch.rows, maxBytes: batch.bytes },
        deadLetterLimits: { maxDeadLetters: deadLetters.window.max, windowRecords: deadLetters.window.records },
        patience: PATIENCE,
        logger,
        observer,
      },
      { signal, until },
    );
    if (!signal.aborted) await raiseWatermarks(watermarks);
  } finally {
    ended.abort();
    await Promise.all(beside);
    await writer.close();
    await client.close();
  }
}

/** Resolves when Kafka has acknowledged the signal; the producer takes it when it runs. */
async function requestResync(kafka: Kafka, { name, mongodb }: Config, topic: string): Promise<void> {
  const collection = collectionOf(name, mongodb.database, topic);
  if (collection === undefined) throw new Error(`records are lost of the topic ${topic}, which is not read`);
  await sendSignals(kafka, name, [{ type: "resync", collection }]);
}

function replicaOf(config: Config, topic: string): Replica | undefined {
  const collection = collectionOf(config.name, config.mongodb.database, topic);
  const table = tableOf(config, topic);
  return collection === undefined || table === undefined ? undefined : { collection, table };
}

function replicated(config: Config, topic: string): TableName {
  const table = tableOf(config, topic);
  if (table === undefined) throw new Error(`a record came of the topic ${topic}, which is not read`);
  return table;
}
