import { randomUUID } from "node:crypto";
import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { createKafkaDeadLetterReader } from "../consumers/dead-letters/topic.ts";
import type { TableName } from "../consumers/ports.ts";
import { PostgresRemoval } from "../consumers/register/removal.ts";
import { HeadraceError } from "../errors/error.ts";
import { deleteGroups, deleteTopics, hasMembers, listGroups } from "../kafka/admin.ts";
import { fetchEndOffsets, listTopics } from "../kafka/topics.ts";
import { kafkaSessions } from "../producers/kafka/session.ts";
import { BatchLimits } from "../producers/records/batch-limits.ts";
import type { Logger } from "../runtime/logger.ts";
import { pause } from "../runtime/waiting.ts";
import { registrySubjects } from "../schemas/registry/subjects.ts";
import type { RegistrySubjects } from "../schemas/registry/subjects.ts";
import {
  collectionOf,
  consumerGroup,
  deadLetterTopic,
  positionsTopic,
  signalsTopic,
  topicOf,
  transactionalId,
} from "../schemas/topics.ts";
import { kafkaClient, postgresClient } from "./connections.ts";
import { forgetDeadLetters } from "./forget-dead-letters.ts";
import { tableOf } from "./tables.ts";

export interface RemovalOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Null: the whole pipeline. */
  readonly collection: string | null;
  readonly dropsTables: boolean;
}

/** What there is to remove. After an interrupted removal, the next one finds the rest. */
export interface Removal {
  readonly topics: readonly string[];
  readonly groups: readonly string[];
  readonly subjects: readonly string[];
  /** Topics that have rows in Headrace's own tables. */
  readonly knownTopics: readonly string[];
  /** The tables of this pipeline that exist. */
  readonly tables: readonly TableName[];
  /** The tables of this pipeline that Headrace's own tables know, whether they exist or not. */
  readonly knownTables: readonly TableName[];
  /** Tables that exist under the names that the pipeline gives, and are not known as its own. They always stay. */
  readonly unknownTables: readonly TableName[];
}

interface Servers {
  readonly kafka: Kafka;
  readonly postgres: PostgresRemoval;
  readonly registry: RegistrySubjects;
}

/** How long to watch the positions topic: a running producer stores its position every second. */
const WATCH_MS = 3_000;

/**
 * Finds everything of a pipeline, or of one of its collections, that can be removed.
 * @param use gets what there is to remove, and a function that removes it
 * @throws HeadraceError PIPELINE_RUNNING from that function, or what the servers give
 */
export async function withRemoval<T>(
  options: RemovalOptions,
  use: (removal: Removal, remove: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const { config, logger } = options;
  const client = postgresClient(config);
  try {
    const servers = {
      kafka: await kafkaClient(config, logger),
      postgres: new PostgresRemoval(client),
      registry: registrySubjects(config.schemaRegistry),
    };
    const removal = await findRemoval(options, servers);
    return await use(removal, () => remove(removal, options, servers));
  } finally {
    await client.close();
  }
}

async function findRemoval(options: RemovalOptions, { kafka, postgres, registry }: Servers): Promise<Removal> {
  const { config, collection } = options;
  const { name } = config;
  const { database } = config.mongodb;
  const isWanted = (topic: string): boolean =>
    collection === null
      ? collectionOf(name, database, topic) !== undefined
      : topic === topicOf(name, database, collection);
  const own = collection === null ? [positionsTopic(name), signalsTopic(name), deadLetterTopic(name)] : [];
  const topics = await listTopics(kafka, (topic) => isWanted(topic) || own.includes(topic));
  const subjects = (await registry.list()).filter((subject) => isWanted(subject.replace(/-(key|value)$/, "")));
  const knownTopics = (await postgres.knownTopics()).filter((topic) => isWanted(topic) || own.includes(topic));
  const collections = collection === null ? [...(config.collections?.keys() ?? [])] : [collection];
  const tableIn = (each: string) => tableOf(config, topicOf(name, database, each));
  const configured = collections.flatMap((each) => tableIn(each) ?? []);
  const knownTables = await postgres.ownTables({ pipeline: name, collection }, configured);
  // A collection that the config no longer has may have had the table of its own name.
  const named = collections.map((each) => tableIn(each) ?? { schema: config.postgres.schema, table: each });
  const isKnown = ({ schema, table }: TableName) =>
    knownTables.some((known) => known.schema === schema && known.table === table);
  const group = consumerGroup(name);
  return {
    topics,
    subjects,
    knownTopics,
    groups: collection === null ? await listGroups(kafka, (id) => id === group || id.startsWith(`${group}.`)) : [],
    tables: await postgres.existingTables(knownTables),
    knownTables,
    unknownTables: (await postgres.existingTables(named)).filter((table) => !isKnown(table)),
  };
}

async function remove(
  removal: Removal,
  options: RemovalOptions,
  { kafka, postgres, registry }: Servers,
): Promise<void> {
  const { config, collection, dropsTables } = options;
  await refuseWhileRunning(kafka, config.name, options.signal);
  if (collection !== null) {
    await forgetPosition(kafka, collection, options);
    const topic = deadLetterTopic(config.name);
    const reader = createKafkaDeadLetterReader(kafka, topic);
    const ofTopic = topicOf(config.name, config.mongodb.database, collection);
    await forgetDeadLetters(ofTopic, { kafka, topic, reader, signal: options.signal });
  }
  await deleteTopics(kafka, removal.topics);
  await deleteGroups(kafka, removal.groups);
  for (const subject of removal.subjects) await registry.remove(subject);
  const { knownTopics, knownTables, tables } = removal;
  await postgres.remove({ topics: knownTopics, tables: knownTables, dropped: dropsTables ? tables : [] });
}

/** @throws HeadraceError PIPELINE_RUNNING */
async function refuseWhileRunning(kafka: Kafka, name: string, signal: AbortSignal): Promise<void> {
  if (await hasMembers(kafka, consumerGroup(name))) throw running("consumer");
  const positions = await listTopics(kafka, (topic) => topic === positionsTopic(name));
  const [before] = await fetchEndOffsets(kafka, positions);
  if (before === undefined) return;
  await pause(WATCH_MS, signal);
  const [after] = await fetchEndOffsets(kafka, positions);
  if (after?.offset !== before.offset) throw running("producer");
}

/** Removes the collection from the position. Otherwise a later start would not copy it again. */
async function forgetPosition(kafka: Kafka, collection: string, options: RemovalOptions): Promise<void> {
  const {
    config: { name },
    signal,
    logger,
  } = options;
  if ((await listTopics(kafka, (topic) => topic === positionsTopic(name))).length === 0) return;
  const session = await kafkaSessions({
    kafka,
    name,
    makeRecords: () => Promise.resolve([]),
    limits: new BatchLimits(),
    logger,
    messageLimits: () => Promise.resolve(new Map()),
    watch: null,
    instance: { id: `${transactionalId(name)}.${randomUUID()}`, startedAtMs: Date.now() },
  })({ signal });
  try {
    const { position } = session;
    const snapshots = new Map(position?.snapshots);
    if (position === null || !snapshots.delete(collection)) return;
    await session.publish({ events: [], position: { ...position, snapshots } });
  } finally {
    await session.close();
  }
}

function running(process: string): HeadraceError {
  return new HeadraceError("PIPELINE_RUNNING", { message: `A ${process} is still running.` });
}
