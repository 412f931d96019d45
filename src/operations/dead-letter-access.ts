import type { Config } from "../config/config-schema.ts";
import { PostgresArchive } from "../consumers/dead-letters/archive.ts";
import { keyOfDeadLetter } from "../consumers/dead-letters/key.ts";
import type { DeadLetterSources } from "../consumers/dead-letters/queries.ts";
import { createKafkaDeadLetterReader } from "../consumers/dead-letters/topic.ts";
import type { DeadLetterReader } from "../consumers/ports.ts";
import { INTERNAL_SCHEMA } from "../consumers/postgres/internal-tables.ts";
import { PostgresSink } from "../consumers/postgres/sink.ts";
import { unsettledTable } from "../consumers/postgres/table-errors.ts";
import { fetchTopicIds } from "../kafka/topic-ids.ts";
import { countPartitions } from "../kafka/topics.ts";
import type { Logger } from "../runtime/logger.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { collectionOf, deadLetterTopic } from "../schemas/topics.ts";
import { kafkaClient, postgresClient, schemaRegistry } from "./connections.ts";
import { requireTables } from "./register/judged-tables.ts";
import { tableOf } from "./tables.ts";

/** A pipeline's dead letters, their outcomes, and the means to read and replay them. */
export interface DeadLetterAccess extends DeadLetterSources {
  readonly reader: DeadLetterReader;
  readonly sink: PostgresSink;
  readonly registry: SchemaRegistry;
  readonly kafka: Awaited<ReturnType<typeof kafkaClient>>;
  /** @throws HeadraceError the consumer's error, if it would refuse the table of one of the topics */
  admit(topics: ReadonlySet<string>): Promise<void>;
  close(): Promise<void>;
}

/** Connects on first use. The caller must close it. @throws HeadraceError TLS_FILE_UNREADABLE */
export async function openDeadLetterAccess(config: Config, logger: Logger): Promise<DeadLetterAccess> {
  const kafka = await kafkaClient(config, logger);
  const client = postgresClient(config);
  const registry = schemaRegistry(config);
  const requireTablesOf = (topics: ReadonlySet<string>): Promise<void> =>
    requireTables(
      config,
      [...topics].flatMap((topic) => collectionOf(config.name, config.mongodb.database, topic) ?? []),
      client,
    );
  const sink = new PostgresSink(client, {
    partitionsOf: (topic) => countPartitions(kafka, topic),
    onTableReplaced: async (topic, error) => {
      await requireTablesOf(new Set([topic]));
      throw unsettledTable(error);
    },
  });
  return {
    admit: requireTablesOf,
    sink,
    registry,
    kafka,
    outcomes: sink,
    archive: new PostgresArchive({
      client,
      internalSchema: INTERNAL_SCHEMA,
      prepare: () => sink.prepareInternal(),
      topic: deadLetterTopic(config.name),
    }),
    tableOf: (topic) => tableOf(config, topic),
    presentTopicIds: (topics) => fetchTopicIds(kafka, topics),
    keyOf: (record) => keyOfDeadLetter(registry, record),
    reader: createKafkaDeadLetterReader(kafka, deadLetterTopic(config.name)),
    close: () => client.close(),
  };
}
