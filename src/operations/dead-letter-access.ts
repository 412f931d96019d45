import type { Config } from "../config/config-schema.ts";
import { keyOfDeadLetter } from "../consumers/dead-letters/key.ts";
import type { DeadLetterSources } from "../consumers/dead-letters/queries.ts";
import { createKafkaDeadLetterReader } from "../consumers/dead-letters/topic.ts";
import type { DeadLetterReader } from "../consumers/ports.ts";
import { PostgresSink } from "../consumers/postgres/sink.ts";
import { countPartitions } from "../kafka/admin.ts";
import type { Logger } from "../runtime/logger.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";
import { deadLetterTopic } from "../schemas/topics.ts";
import { kafkaClient, postgresClient, schemaRegistry } from "./connections.ts";

/** A pipeline's dead letters, their outcomes, and the means to read and replay them. */
export interface DeadLetterAccess extends DeadLetterSources {
  readonly reader: DeadLetterReader;
  readonly sink: PostgresSink;
  readonly registry: SchemaRegistry;
  readonly kafka: Awaited<ReturnType<typeof kafkaClient>>;
  close(): Promise<void>;
}

/** Connects on first use. The caller must close it. @throws HeadraceError TLS_FILE_UNREADABLE */
export async function openDeadLetterAccess(config: Config, logger: Logger): Promise<DeadLetterAccess> {
  const kafka = await kafkaClient(config, logger);
  const client = postgresClient(config);
  const registry = schemaRegistry(config);
  const sink = new PostgresSink(client, { partitionsOf: (topic) => countPartitions(kafka, topic) });
  return {
    sink,
    registry,
    kafka,
    outcomes: sink,
    keyOf: (record) => keyOfDeadLetter(registry, record),
    reader: createKafkaDeadLetterReader(kafka, deadLetterTopic(config.name)),
    close: () => client.close(),
  };
}
