import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import type { Logger } from "../runtime/logger.ts";
import { START_PATIENCE, logRetries, retry } from "../runtime/retry.ts";
import { untilAborted } from "../runtime/waiting.ts";
import type { Version } from "../schemas/change-event.ts";
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
import type { OpenSession, ProducerObserver } from "./ports.ts";
import { produce } from "./producer.ts";
import { CollectionEncoders } from "./records/collection-encoders.ts";
import { EventRecords } from "./records/event-records.ts";

export interface ProducerOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** When this process was started, ms since 1970. If two producers have one name, the younger one continues. */
  readonly startedAtMs: number;
  readonly headraceVersion: string;
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
  /** A warning is logged when less than this share (0 to 1) of the oplog's window is left. */
  readonly oplogReserve: number;
  /** Ends when everything that MongoDB has at the start is published. */
  readonly once: boolean;
  readonly observer: ProducerObserver;
  readonly logger: Logger;
}

/** Repeats a step of the start for a minute at most. */
type Starting = <T>(step: () => Promise<T>) => Promise<T>;

/**
 * Runs the producer of a pipeline until `signal` aborts or, with `once`, everything is published. Before any data moves
 * it checks the collections, creates the topics and registers the schemas; these steps are retried for a minute at most.
 * @throws HeadraceError
 */
export function runProducer(options: ProducerOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  return untilAborted(signal, () => startAndProduce(options, signal));
}

async function startAndProduce(options: ProducerOptions, signal: AbortSignal): Promise<void> {
  const { mongodb, observer, logger } = options;
  const starting: Starting = (step) =>
    retry(step, { signal, ...START_PATIENCE, onRetry: logRetries(logger, "starting the producer") });
  const client = await starting(() => connectMongo(mongodb));
  try {
    const db = client.db(mongodb.database);
    const openSession = await prepareSessions(db, options, starting);
    const source = mongoSource(db, options, options.once ? (await starting(() => clusterTimes(db))).latest : undefined);
    const watch = { reserve: options.oplogReserve, observer, logger, signal };
    await whileWatchingOplog(db, watch, (watched) =>
      produce({ openSession, source, observer: watched, logger }, { signal }),
    );
  } finally {
    await client.close();
  }
}

/** Checks the collections, creates the topics and registers the schemas. */
async function prepareSessions(db: Db, options: ProducerOptions, starting: Starting): Promise<OpenSession> {
  const { name, kafka, registry, collections, observer, logger } = options;
  const database = db.databaseName;
  // Which collections may be missing depends on the position. The source checks that at each start.
  const mayBeMissing = () => options.onDrop === "apply";
  const { names, missing } = await starting(() => findCollections(db, namesOf(collections), mayBeMissing));
  const present = names.filter((collection) => !missing.includes(collection));
  const topics = new KafkaTopics({ kafka, name, database, ...options.topics });
  const encoders = new CollectionEncoders({
    name,
    database,
    headraceVersion: options.headraceVersion,
    registry,
    nulCharacters: options.nulCharacters,
    mappingOf: mappings(collections ?? []),
    idEnds: (collection) => readIdEnds(db, collection),
  });
  // In parallel, because Kafka takes 0.1 s for each request that creates topics.
  await starting(() => Promise.all([topics.prepareInternal(), topics.prepare(present), encoders.prepare(present)]));
  const records = new EventRecords({ name, topics, limits: topics.limits, encoders, observer, logger });
  return kafkaSessions({
    kafka,
    name,
    instance: { id: randomUUID(), startedAtMs: options.startedAtMs },
    makeRecords: (events) => records.make(events),
    limits: topics.limits,
    messageLimits: () => topics.messageLimits(),
  });
}

function mongoSource(db: Db, options: ProducerOptions, until: Version | undefined): MongoSource {
  const { name, kafka, collections, snapshot, observer, logger } = options;
  return new MongoSource(db, {
    collections: namesOf(collections),
    snapshotMode: snapshot.mode,
    chunkDocuments: snapshot.chunkDocuments,
    onDrop: options.onDrop,
    onHistoryLost: options.onHistoryLost,
    signals: kafkaSignals({ kafka, name, logger }),
    until,
    observer,
    logger,
  });
}

function namesOf(collections: ProducerOptions["collections"]): readonly string[] | null {
  return collections?.map(({ collection }) => collection) ?? null;
}

function mappings(declared: readonly CollectionMapping[]): (collection: string) => CollectionMapping {
  const byName = new Map(declared.map((mapping) => [mapping.collection, mapping]));
  return (collection) => byName.get(collection) ?? { collection, mode: "document", columns: [], idType: undefined };
}
