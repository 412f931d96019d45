import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import { listTopics } from "../kafka/topics.ts";
import type { DeadLetterLimits } from "../runtime/dead-letter-window.ts";
import type { Logger } from "../runtime/logger.ts";
import { START_PATIENCE, logRetries, retry } from "../runtime/retry.ts";
import { untilAborted } from "../runtime/waiting.ts";
import type { Version } from "../schemas/change-event.ts";
import { claimNames } from "../schemas/collection-names.ts";
import type { ClaimName } from "../schemas/collection-names.ts";
import type { CollectionSelection } from "../schemas/collection-selection.ts";
import { parsedFilters } from "../schemas/filter.ts";
import { mappingFingerprint } from "../schemas/mapping/fingerprint.ts";
import type { CollectionMapping, NulCharacters } from "../schemas/mapping/mapping.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { collectionOf } from "../schemas/topics.ts";
import { kafkaSessions } from "./kafka/session.ts";
import { kafkaSignals } from "./kafka/signals.ts";
import { TopicWatch } from "./kafka/topic-watch.ts";
import type { OnRecordsLost } from "./kafka/topic-watch.ts";
import { KafkaTopics } from "./kafka/topics.ts";
import type { KafkaTopicsOptions } from "./kafka/topics.ts";
import { clusterTimes, connectMongo } from "./mongodb/client.ts";
import type { MongoOptions } from "./mongodb/client.ts";
import { findCollections, readIdEnds, requireFit } from "./mongodb/collections.ts";
import type { OnDrop } from "./mongodb/event-meaning.ts";
import { whileWatchingOplog } from "./mongodb/oplog.ts";
import type { OnHistoryLost, SnapshotMode } from "./mongodb/source-start.ts";
import { MongoSource } from "./mongodb/source.ts";
import type { OpenSession, ProducerObserver } from "./ports.ts";
import { produce } from "./producer.ts";
import { CollectionEncoders } from "./records/collection-encoders.ts";
import { EncodingFailures } from "./records/encoding-failures.ts";
import { EventRecords } from "./records/event-records.ts";
import { slowBatches } from "./slow-batches.ts";

export interface ProducerOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** When this process was started, ms since 1970. If two producers have one name, the younger one continues. */
  readonly startedAtMs: number;
  readonly headraceVersion: string;
  readonly mongodb: MongoOptions;
  readonly kafka: KafkaTopicsOptions["kafka"];
  readonly registry: SchemaRegistry;
  readonly topics: Omit<KafkaTopicsOptions, "kafka" | "name" | "database" | "logger">;
  readonly collections: CollectionSelection;
  /** How a selected collection is mapped. */
  readonly mappingOf: (collection: string) => CollectionMapping;
  readonly snapshot: {
    readonly mode: SnapshotMode;
    /** Most documents of one read. */
    readonly chunkDocuments: number;
  };
  /** Shortest time between the beginnings of two transactions of a few changes, ms. */
  readonly transactionIntervalMs: number;
  readonly nulCharacters: NulCharacters;
  readonly deadLetterLimits: DeadLetterLimits;
  readonly onDrop: OnDrop;
  readonly onHistoryLost: OnHistoryLost;
  readonly onRecordsLost: OnRecordsLost;
  /** A warning is logged when less than this share (0 to 1) of the oplog's window is left. */
  readonly oplogReserve: number;
  /** Batches whose oldest change takes longer than this from its commit, ms, are logged with their stages. Null: none. */
  readonly traceSlowMs: number | null;
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
  const failures = new EncodingFailures({ limits: options.deadLetterLimits, observer, logger });
  const client = await starting(() => connectMongo(mongodb));
  try {
    const db = client.db(mongodb.database);
    const established = [...options.collections.named, ...(await starting(() => withTopic(db, options)))];
    const claimName = claimNames(options.name, db.databaseName, established);
    const topics = new KafkaTopics({
      kafka: options.kafka,
      name: options.name,
      database: db.databaseName,
      ...options.topics,
      logger,
    });
    const openSession = await prepareSessions(db, options, { claimName, topics, failures }, starting);
    const until = options.once ? (await starting(() => clusterTimes(db))).latest : undefined;
    const source = mongoSource(db, options, { claimName, topics, until });
    const watch = { reserve: options.oplogReserve, observer, logger, signal };
    await whileWatchingOplog(db, watch, (watched) =>
      produce({ openSession, source, observer: watched, logger }, { signal }),
    );
  } finally {
    failures.report();
    await client.close();
  }
}

/** The collections of the database that have a topic. */
async function withTopic(db: Db, { kafka, name }: ProducerOptions): Promise<readonly string[]> {
  const topics = await listTopics(kafka, () => true);
  return topics.flatMap((topic) => collectionOf(name, db.databaseName, topic) ?? []);
}

/** Checks the collections, creates Headrace's own topics and registers the schemas. Sessions create the other topics. */
async function prepareSessions(
  db: Db,
  options: ProducerOptions,
  parts: { readonly claimName: ClaimName; readonly topics: KafkaTopics; readonly failures: EncodingFailures },
  starting: Starting,
): Promise<OpenSession> {
  const { claimName, topics, failures } = parts;
  const { name, kafka, registry, collections, mappingOf, observer, traceSlowMs, logger } = options;
  const database = db.databaseName;
  const found = await starting(() => findCollections(db, collections, claimName));
  requireFit(found, collections);
  const present = found.names.filter((collection) => !found.missing.includes(collection));
  const encoders = new CollectionEncoders({
    name,
    database,
    headraceVersion: options.headraceVersion,
    registry,
    nulCharacters: options.nulCharacters,
    mappingOf,
    idEnds: (collection) => readIdEnds(db, collection),
  });
  // In parallel, because Kafka takes 0.1 s for each request that creates topics.
  await starting(() => Promise.all([topics.prepareInternal(), encoders.prepare(present)]));
  const records = new EventRecords({ name, topics, limits: topics.limits, encoders, failures, observer });
  return kafkaSessions({
    kafka,
    name,
    instance: { id: randomUUID(), startedAtMs: options.startedAtMs },
    makeRecords: (events) => records.make(events),
    onCommitted: () => failures.published(),
    observer: traceSlowMs === null ? observer : { ...observer, timed: slowBatches({ slowMs: traceSlowMs, logger }) },
    logger,
    limits: topics.limits,
    messageLimits: () => topics.messageLimits(),
    watch: new TopicWatch({
      kafka,
      name,
      database,
      topics,
      collections: { names: found.names, present },
      mappingOf: fingerprints(mappingOf),
      onRecordsLost: options.onRecordsLost,
      takesSnapshots: options.snapshot.mode !== "never",
      logger,
    }),
  });
}

function mongoSource(
  db: Db,
  options: ProducerOptions,
  parts: { readonly claimName: ClaimName; readonly topics: KafkaTopics; readonly until: Version | undefined },
): MongoSource {
  const { name, kafka, collections, mappingOf, snapshot, observer, logger } = options;
  const { claimName, topics, until } = parts;
  return new MongoSource(db, {
    collections,
    filterOf: parsedFilters((collection) => mappingOf(collection).filter),
    claimName,
    snapshotMode: snapshot.mode,
    chunkDocuments: snapshot.chunkDocuments,
    onDrop: options.onDrop,
    onHistoryLost: options.onHistoryLost,
    // Of a collection without a topic nobody has applied a record.
    isNewTopic: (collection) => topics.known.get(collection)?.isNew ?? true,
    signals: kafkaSignals({ kafka, name, logger }),
    until,
    intervalMs: options.transactionIntervalMs,
    observer,
    logger,
  });
}

/** Of the mappings, which stay the same: each transaction asks for all of them. */
function fingerprints(mappingOf: (collection: string) => CollectionMapping): (collection: string) => string {
  const known = new Map<string, string>();
  return (collection) => {
    const fingerprint = known.get(collection) ?? mappingFingerprint(mappingOf(collection));
    known.set(collection, fingerprint);
    return fingerprint;
  };
}
