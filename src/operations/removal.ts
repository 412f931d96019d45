import { randomUUID } from "node:crypto";
import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { createKafkaDeadLetterReader } from "../consumers/dead-letters/topic.ts";
import type { TableName } from "../consumers/ports.ts";
import { PostgresRemoval } from "../consumers/postgres/removal.ts";
import { HeadraceError } from "../errors/error.ts";
import { fetchEndOffsets, listTopics, deleteGroups, deleteTopics, hasMembers, listGroups } from "../kafka/admin.ts";
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
  /** The tables that exist. */
  readonly tables: readonly TableName[];
  /** The tables that Headrace's own tables may have rows about, whether they exist or not. */
  readonly knownTables: readonly TableName[];
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
  const declared = collection === null ? Object.keys(config.collections ?? {}) : [collection];
  const collections = new Set([
    ...declared,
    ...[...topics, ...knownTopics, ...subjects.map((subject) => subject.replace(/-(key|value)$/, ""))].flatMap(
      (topic) => collectionOf(name, database, topic) ?? [],
    ),
  ]);
  const group = consumerGroup(name);
  const knownTables = [...collections].map((each) => tableOfRemoved(config, each));
  return {
    topics,
    subjects,
    knownTopics,
    groups: collection === null ? await listGroups(kafka, (id) => id === group || id.startsWith(`${group}.`)) : [],
    tables: await postgres.existingTables(knownTables),
    knownTables,
  };
}

/** The table of a collection. One that is no longer in the config is assumed to have a table of its own name. */
function tableOfRemoved(config: Config, collection: string): TableName {
  const { name, mongodb, postgres } = config;
  return tableOf(config, topicOf(name, mongodb.database, collection)) ?? { schema: postgres.schema, table: collection };
}

async function remove(
  removal: Removal,
  options: RemovalOptions,
  { kafka, postgres, registry }: Servers,
): Promise<void> {
  const { config, collection, dropsTables } = options;
  await refuseWhileRunning(kafka, config.name, options.signal);
  if (collection !== null) {
    await forgetPosition(kafka, config.name, collection, options.signal);
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
async function forgetPosition(kafka: Kafka, name: string, collection: string, signal: AbortSignal): Promise<void> {
  if ((await listTopics(kafka, (topic) => topic === positionsTopic(name))).length === 0) return;
  const session = await kafkaSessions({
    kafka,
    name,
    makeRecords: () => Promise.resolve([]),
    limits: new BatchLimits(),
    messageLimits: () => Promise.resolve(new Map()),
    instance: { id: `${transactionalId(name)}.${randomUUID()}`, startedAtMs: Date.now() },
  })({ signal });
  try {
    const { position } = session;
    if (position?.snapshots[collection] === undefined) return;
    const { [collection]: _, ...snapshots } = position.snapshots;
    await session.publish([], { ...position, snapshots });
  } finally {
    await session.close();
  }
}

function running(process: string): HeadraceError {
  return new HeadraceError("PIPELINE_RUNNING", { message: `A ${process} is still running.` });
}
