import { randomUUID } from "node:crypto";
import type { Logger } from "../runtime/logger.ts";
import { START_PATIENCE, logRetries, retry } from "../runtime/retry.ts";
import { untilAborted } from "../runtime/waiting.ts";
import type { CollectionMapping, NulCharacters } from "../schemas/mapping/mapping.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { kafkaSessions } from "./kafka/session.ts";
import { kafkaSignals } from "./kafka/signals.ts";
import { KafkaTopics } from "./kafka/topics.ts";
import type { KafkaTopicsOptions, TopicSettings } from "./kafka/topics.ts";
import { clusterTimes, connectMongo } from "./mongodb/client.ts";
import type { MongoOptions } from "./mongodb/client.ts";
import { findCollections, readIdEnds } from "./mongodb/collections.ts";
import type { OnDrop } from "./mongodb/event-meaning.ts";
import { whileWatchingOplog } from "./mongodb/oplog.ts";
import type { OnHistoryLost, SnapshotMode } from "./mongodb/source-start.ts";
import { MongoSource } from "./mongodb/source.ts";
import type { ProducerObserver } from "./ports.ts";
import { produce } from "./producer.ts";
import { CollectionEncoders } from "./records/collection-encoders.ts";
import { EventRecords } from "./records/event-records.ts";

export interface ProducerOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** When this process was started, ms since 1970. Of two producers of one name the younger one goes on. */
  readonly startedAtMs: number;
  /** Headrace's own. */
  readonly version: string;
  readonly mongodb: MongoOptions;
  readonly kafka: KafkaTopicsOptions["kafka"];
  readonly registry: SchemaRegistry;
  readonly topics: TopicSettings;
  /** Null: every collection of the database, in document mode. */
  readonly collections: readonly CollectionMapping[] | null;
  readonly snapshot: {
    readonly mode: SnapshotMode;
    /** Most documents of one read. */
    readonly chunkDocuments: number;
  };
  readonly nulCharacters: NulCharacters;
  readonly onDrop: OnDrop;
  readonly onHistoryLost: OnHistoryLost;
  /** It warns when less than this share of the oplog's window is left. */
  readonly oplogReserve: number;
  /** Ends when what the source is at the start has been published. */
  readonly once: boolean;
  readonly observer: ProducerObserver;
  readonly logger: Logger;
}

/**
 * Runs the producer of a pipeline until `signal` aborts or, where that is asked for, there is nothing more to do.
 * Before any data moves it looks at the collections, makes the topics and registers the schemas; what fails there
 * is tried again for a minute only.
 * @throws HeadraceError
 */
export function runProducer(options: ProducerOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  return untilAborted(signal, () => startAndProduce(options, signal));
}

async function startAndProduce(options: ProducerOptions, signal: AbortSignal): Promise<void> {
  const { name, version, mongodb, kafka, registry, collections, snapshot, onDrop, observer, logger } = options;
  const { database } = mongodb;
  const instance = { id: randomUUID(), startedAtMs: options.startedAtMs };
  const starting = <T>(step: () => Promise<T>): Promise<T> =>
    retry(step, { signal, ...START_PATIENCE, onRetry: logRetries(logger, "starting") });
  const client = await starting(() => connectMongo(mongodb));
  try {
    const db = client.db(database);
    const wanted = collections?.map(({ collection }) => collection) ?? null;
    // The source knows which ones: those that its position has.
    const mayBeMissing = () => onDrop === "apply";
    const { names, missing } = await starting(() => findCollections(db, wanted, mayBeMissing));
    const present = names.filter((collection) => !missing.includes(collection));
    const topics = new KafkaTopics({ kafka, name, database, ...options.topics });
    const encoders = new CollectionEncoders({
      name,
      database,
      version,
      registry,
      nulCharacters: options.nulCharacters,
      mappingOf: mappings(collections ?? []),
      idEnds: (collection) => readIdEnds(db, collection),
    });
    // Together, as Kafka takes 0.1 s each time that topics are made.
    await starting(() => Promise.all([topics.prepareInternal(), topics.prepare(present), encoders.prepare(present)]));
    const records = new EventRecords({ name, topics, limits: topics.limits, encoders, observer, logger });
    const source = new MongoSource(db, {
      collections: wanted,
      snapshotMode: snapshot.mode,
      chunkDocuments: snapshot.chunkDocuments,
      onDrop,
      onHistoryLost: options.onHistoryLost,
      signals: kafkaSignals({ kafka, name, logger }),
      until: options.once ? (await starting(() => clusterTimes(db))).latest : undefined,
      observer,
      logger,
    });
    const openSession = kafkaSessions({
      kafka,
      name,
      instance,
      makeRecords: (events) => records.make(events),
      limits: topics.limits,
      messageLimits: () => topics.messageLimits(),
    });
    const watch = { reserve: options.oplogReserve, observer, logger, signal };
    await whileWatchingOplog(db, watch, (watched) =>
      produce({ openSession, source, observer: watched, logger }, { signal }),
    );
  } finally {
    await client.close();
  }
}

function mappings(declared: readonly CollectionMapping[]): (collection: string) => CollectionMapping {
  const byName = new Map(declared.map((mapping) => [mapping.collection, mapping]));
  return (collection) => byName.get(collection) ?? { collection, mode: "document", columns: [], idType: undefined };
}
