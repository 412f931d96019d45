import { serialize } from "bson";
import type { Pool } from "pg";
import { onTestFinished } from "vitest";
import { consume } from "../../src/consumers/consumer.ts";
import type { ConsumerLoop } from "../../src/consumers/consumer.ts";
import { PostgresArchive } from "../../src/consumers/dead-letters/archive.ts";
import { keyOfDeadLetter } from "../../src/consumers/dead-letters/key.ts";
import { createKafkaDeadLetterReader, createKafkaDeadLetterWriter } from "../../src/consumers/dead-letters/topic.ts";
import { createKafkaRecordLog } from "../../src/consumers/kafka/record-log.ts";
import { fetchTopicIds } from "../../src/kafka/topic-ids.ts";
import { countPartitions, fetchEndOffsets } from "../../src/kafka/topics.ts";
import { decodeRecord } from "../../src/schemas/decoding/record-decoder.ts";
import { createEventEncoder } from "../../src/schemas/encoding/event-encoder.ts";
import { collectionSchema } from "../../src/schemas/mapping/collection-schema.ts";
// A topic, its table and consumers between the two, all real.
import type { PartitionOffset } from "../../src/schemas/partitions.ts";
import { createSchemaRegistry } from "../../src/schemas/registry/registry.ts";
import { deadLetterTopic, partitionOf, topicOf } from "../../src/schemas/topics.ts";
import { columnsOf } from "../schemas/encoding/encoding.ts";
import { servers, uniqueName } from "../support/servers.ts";
import type { KafkaFixture } from "./kafka/fixture.ts";
import { sessionTimeoutMs } from "./kafka/reader.ts";
import { freshSink, openClient } from "./postgres/fixture.ts";

/** A change as MongoDB would have it; without a document a delete. */
export interface TestEvent {
  readonly id: string;
  readonly version: number;
  readonly document?: Readonly<Record<string, unknown>>;
}

export interface RunningConsumer {
  readonly running: Promise<void>;
  readonly lines: { fields: Record<string, unknown>; message: string }[];
  readonly stop: () => Promise<void>;
}

/** The default of every test: waits only as long as a test can. */
const PATIENCE = { constraintPatienceMs: 0, schemaPatienceMs: 0, passingPatienceMs: 0 };

/** @param columns as in a config */
export async function freshCollection(
  fixture: KafkaFixture,
  columns: Readonly<Record<string, string>> = { name: "text", price: "integer" },
  partitions = 1,
) {
  const pipeline = `${fixture.prefix}-${uniqueName("pipeline")}`;
  const topic = topicOf(pipeline, "shop", "products");
  const dlq = deadLetterTopic(pipeline);
  await fixture.createTopic(topic, partitions);
  await fixture.createTopic(dlq);
  const { schema, pool, sink, openSink } = await freshSink((each) => countPartitions(fixture.kafka, each));
  const table = { schema, table: "products" };
  const tableOf = (each: string) => (each === topic ? table : undefined);
  const registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });
  const encoder = await createEncoder(registry, pipeline, topic, columns);
  const writer = createKafkaDeadLetterWriter({ kafka: fixture.kafka, topic: dlq, pipeline, taskId: "test" });
  onTestFinished(() => writer.close());
  const lines: RunningConsumer["lines"] = [];
  const log = (fields: object, message: string) =>
    void lines.push({ fields: fields as Record<string, unknown>, message });
  const logger = { debug: log, info: log, warn: log, error: log };
  const reader = createKafkaDeadLetterReader(fixture.kafka, dlq);

  const collection = {
    pipeline,
    topic,
    table,
    schema,
    pool,
    sink,
    openSink,
    registry,
    encoder,
    /** What the command line gives to the functions on dead letters. */
    deadLetters: {
      reader,
      outcomes: sink,
      archive: new PostgresArchive({
        client: openClient(),
        internalSchema: schema,
        prepare: () => sink.prepareInternal(),
        topic: dlq,
      }),
      keyOf: (record: Parameters<typeof keyOfDeadLetter>[1]) => keyOfDeadLetter(registry, record),
      decode: decode(registry),
      sink,
      writer,
      tableOf,
      presentTopicIds: (topics: readonly string[]) => fetchTopicIds(fixture.kafka, topics),
      patience: PATIENCE,
      logger,
      signal: new AbortController().signal,
    },

    /** In one transaction, each event where its key belongs. */
    publish: (events: readonly TestEvent[]): Promise<void> =>
      fixture.publish(
        topic,
        events.map(({ id, version, document }) => {
          const { key, value } = encoder.encode({
            op: document === undefined ? "d" : "u",
            collection: "products",
            documentKey: serialize({ _id: id }),
            document: document === undefined ? null : serialize({ _id: id, ...document }),
            version: BigInt(version),
          });
          return { key, value, partition: partitionOf(key, partitions) };
        }),
      ),

    /** One truncate record in every partition. */
    truncate: (version: number): Promise<void> => {
      const { key, value } = encoder.encode({ op: "t", collection: "products", version: BigInt(version) });
      return fixture.publish(
        topic,
        Array.from({ length: partitions }, (_, partition) => ({ key, value, partition })),
      );
    },

    ends: (): Promise<readonly PartitionOffset[]> => fetchEndOffsets(fixture.kafka, [topic]),

    /** A member of the pipeline's group; stopped after the test. */
    start(options: Partial<ConsumerLoop> & { until?: Promise<readonly PartitionOffset[]> } = {}): RunningConsumer {
      const { until, ...more } = options;
      const controller = new AbortController();
      const own: RunningConsumer["lines"] = [];
      const write = (fields: object, message: string) =>
        void own.push({ fields: fields as Record<string, unknown>, message });
      const ownLogger = { debug: write, info: write, warn: write, error: write };
      const running = consume(
        {
          log: createKafkaRecordLog({
            kafka: fixture.kafka,
            groupId: `${pipeline}.consumer`,
            topics: { includes: (each) => each === topic, expected: [topic] },
            requireRights: () => Promise.resolve(),
            config: { fingerprint: "", startedAtMs: 0 },
            logger: ownLogger,
            sessionTimeoutMs,
            maxWaitMs: 100,
          }),
          sink,
          admission: { admit: () => Promise.resolve(), again: () => Promise.resolve() },
          deadLetters: writer,
          decode: decode(registry),
          tableOf: () => table,
          limits: { maxRows: 100, maxBytes: 1_000_000 },
          deadLetterLimits: { max: 10, records: 100 },
          patience: PATIENCE,
          logger: ownLogger,
          requestResync: null,
          observer: { applied() {}, deadLettered() {}, historyLost() {} },
          ...more,
        },
        { signal: controller.signal, until },
      );
      // Looked at by the test; here only kept from being unhandled.
      running.catch(() => undefined);
      onTestFinished(async () => {
        controller.abort();
        await running.catch(() => undefined);
      });
      return {
        running,
        lines: own,
        stop: async () => {
          controller.abort();
          await running;
        },
      };
    },

    /** Runs a consumer up to the topic's present end. */
    async consume(options: Partial<ConsumerLoop> = {}): Promise<void> {
      await collection.start({ ...options, until: collection.ends() }).running;
    },

    /** The rows by key, without Headrace's own columns. */
    rows: () => rowsOf(pool),
  };
  return collection;
}

function decode(registry: ReturnType<typeof createSchemaRegistry>): ConsumerLoop["decode"] {
  return ({ key, value }) => decodeRecord(registry, key, value);
}

async function createEncoder(
  registry: ReturnType<typeof createSchemaRegistry>,
  name: string,
  topic: string,
  columns: Readonly<Record<string, string>>,
) {
  const schema = collectionSchema(
    { collection: "products", mode: "columns", columns: columnsOf(columns), children: [], idType: "string" },
    "string",
    { name, database: "shop", topic },
  );
  const key = await registry.register(schema.keySubject, schema.keySchema);
  const value = await registry.register(schema.valueSubject, schema.valueSchema);
  const truncateKey = await registry.register(schema.keySubject, schema.truncateKeySchema);
  return createEventEncoder({ schema, schemaIds: { key, truncateKey, value }, headraceVersion: "test" });
}

async function rowsOf(pool: Pool): Promise<Record<string, Record<string, unknown>>> {
  const { rows } = await pool.query<Record<string, unknown>>("SELECT * FROM products ORDER BY _id");
  return Object.fromEntries(
    rows.map(({ _id, _version, _extra, ...columns }) => [String(_id), { version: Number(_version), ...columns }]),
  );
}

export type Collection = Awaited<ReturnType<typeof freshCollection>>;
