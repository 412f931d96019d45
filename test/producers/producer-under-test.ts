import type { Kafka } from "kafkajs";
import type { Db, Document, MongoClient } from "mongodb";
import { runProducer } from "../../src/producers/run-producer.ts";
import type { ProducerOptions } from "../../src/producers/run-producer.ts";
// A producer with a database and a pipeline of its own, and a reader of its topics.
import { WHOLE_DATABASE } from "../../src/schemas/collection-selection.ts";
import { cellTexts } from "../../src/schemas/decoding/cells.ts";
import { decodeRecord } from "../../src/schemas/decoding/record-decoder.ts";
import type { CollectionMapping } from "../../src/schemas/mapping/mapping.ts";
import { createSchemaRegistry } from "../../src/schemas/registry/registry.ts";
import type { Change } from "../../src/schemas/row-schema.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { freshMongoDatabase, servers } from "../support/servers.ts";
import { pipelineName, readTopic, testKafka } from "./kafka/pipeline-topics.ts";
import { silentLogger } from "./mongodb/source-collector.ts";

export interface RunningProducer {
  /** Ends it as SIGTERM does. */
  stop(): Promise<void>;
  /** The result of `runProducer`. */
  readonly done: Promise<void>;
}

export class ProducerUnderTest {
  readonly name = pipelineName();
  readonly client: MongoClient;
  readonly db: Db;
  readonly registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });

  constructor({ client, db }: { client: MongoClient; db: Db }) {
    this.client = client;
    this.db = db;
  }

  static async create(): Promise<ProducerUnderTest> {
    return new ProducerUnderTest(await freshMongoDatabase());
  }

  /** Starts a producer as another process would. */
  start(options: Partial<ProducerOptions> & { readonly kafka?: Kafka } = {}): RunningProducer {
    const stopping = new AbortController();
    const done = runProducer(
      {
        name: this.name,
        startedAtMs: Date.now(),
        headraceVersion: "0.0.0",
        mongodb: { uri: servers().mongodbUri, database: this.db.databaseName },
        kafka: testKafka(),
        registry: this.registry,
        topics: {
          partitions: 3,
          replicationFactor: 1,
          retentionMs: 3_600_000,
          deadLetterRetentionMs: 7_200_000,
          brokers: [],
        },
        collections: WHOLE_DATABASE,
        mappingOf: (collection) => ({ collection, mode: "document", columns: [], children: [], idType: undefined }),
        snapshot: { mode: "initial", chunkDocuments: 100 },
        transactionIntervalMs: 0,
        nulCharacters: "replace",
        deadLetterLimits: { max: 100, records: 10_000 },
        onDrop: "apply",
        onHistoryLost: "fail",
        onRecordsLost: "fail",
        oplogReserve: 0.25,
        traceSlowMs: null,
        once: false,
        observer: {},
        logger: silentLogger,
        ...options,
      },
      { signal: stopping.signal },
    );
    done.catch(() => {});
    return {
      stop: async () => {
        stopping.abort(new Error("stopped"));
        await done;
      },
      done,
    };
  }

  /** Publishes everything that the source has now. */
  async runOnce(options: Partial<ProducerOptions> = {}): Promise<void> {
    await this.start({ ...options, once: true }).done;
  }

  /** The records of a collection that readers see, each partition in order, without Kafka's tombstones. */
  async changes(collection: string): Promise<Change[]> {
    const changes: Change[] = [];
    for (const record of await readTopic(topicOf(this.name, this.db.databaseName, collection))) {
      const change = await decodeRecord(this.registry, record.key, record.value);
      if (change !== null) changes.push(change);
    }
    return changes;
  }
}

/** The options of a producer that replicates only these collections. */
export function onlyThese(mappings: readonly CollectionMapping[]): Pick<ProducerOptions, "collections" | "mappingOf"> {
  const byName = new Map(mappings.map((mapping) => [mapping.collection, mapping]));
  return {
    collections: { named: [...byName.keys()], others: null },
    mappingOf: (collection) => byName.get(collection)!,
  };
}

/** The documents, by key, that a sink with the version guard ends with. For a collection in document mode. */
export function tableOf(changes: readonly Change[]): Map<string, unknown> {
  const newest = new Map<string, Change>();
  for (const change of changes) {
    if (change.version >= (newest.get(change.key)?.version ?? 0n)) newest.set(change.key, change);
  }
  const table = new Map<string, unknown>();
  for (const [key, { cells }] of newest) if (cells !== null) table.set(key, JSON.parse(String(cellTexts(cells)[0])));
  return table;
}

/** A collection of documents with strings for `_id`. */
export async function documentsOf(db: Db, collection: string): Promise<Map<string, unknown>> {
  const documents: Document[] = await db.collection(collection).find().toArray();
  return new Map(documents.map((document) => [String(document["_id"]), document]));
}

/** The events that are more than once in the log. An event of the stream must be published exactly once. */
export function duplicatesOf(changes: readonly Change[]): string[] {
  const seen = new Set<string>();
  // Each partition has a record of a sweep.
  const ids = changes.filter(({ op }) => op !== "r" && op !== "t").map(({ key, version }) => `${key} at ${version}`);
  return ids.filter((id) => seen.size === seen.add(id).size);
}
