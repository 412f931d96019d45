import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { PostgresClient } from "../consumers/postgres/client.ts";
import { createKafka } from "../kafka/client.ts";
import type { Logger } from "../runtime/logger.ts";
import { createSchemaRegistry } from "../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";

/** How long one attempt to reach a server may take. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A process that hangs inside a transaction must not hold its locks for ever. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;

/** Connects at its first query; to be closed. */
export function postgresClient({ postgres }: Config): PostgresClient {
  return new PostgresClient({
    url: postgres.url,
    connections: postgres.poolSize,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    statementTimeoutMs: postgres.statementTimeoutMs,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  });
}

/**
 * @param retries how often kafkajs itself repeats a failed connection
 * @throws HeadraceError TLS_FILE_UNREADABLE
 */
export function kafkaClient({ name, kafka }: Config, logger: Logger, retries?: number): Promise<Kafka> {
  const { brokers, ssl, sasl } = kafka;
  return createKafka({ clientId: `headrace-${name}`, brokers, ssl, sasl, retries, logger });
}

export function schemaRegistry({ schemaRegistry: { url, auth } }: Config): SchemaRegistry {
  return createSchemaRegistry({ url, auth });
}

/** What to call each server in messages: its address without credentials. */
export function serverNames({ mongodb, kafka, schemaRegistry, postgres }: Config): Record<ServerKind, string> {
  return {
    mongodb: `MongoDB at ${mongodb.uri.replace(/^[a-z+]+:\/\/(?:[^/?]*@)?/, "").replace(/[/?].*$/, "")}`,
    kafka: `Kafka at ${kafka.brokers.join(",")}`,
    schemaRegistry: `The schema registry at ${new URL(schemaRegistry.url).host}`,
    postgres: `PostgreSQL at ${postgresAddress(postgres.url)}`,
  };
}

export type ServerKind = "mongodb" | "kafka" | "schemaRegistry" | "postgres";

function postgresAddress(url: string): string {
  if (!URL.canParse(url)) return url.replace(/^[a-z]+:\/\/(?:.*@)?/, "").replace(/[/?].*$/, "");
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
