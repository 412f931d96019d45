import type { Kafka } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { PostgresClient } from "../consumers/postgres/client.ts";
import { createKafka } from "../kafka/client.ts";
import type { Logger } from "../runtime/logger.ts";
import { createSchemaRegistry } from "../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../schemas/registry/registry.ts";

/** How long one attempt to reach a server may take. */
const CONNECT_TIMEOUT_MS = 5_000;
/** After this time PostgreSQL ends the transaction of a process that hangs, and frees its locks. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;

/** A client that connects with its first query. The caller must close it. */
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
 * A client of the brokers.
 * @param retries how often kafkajs itself repeats a failed connection
 * @throws HeadraceError TLS_FILE_UNREADABLE
 */
export function kafkaClient({ name, kafka }: Config, logger: Logger, retries?: number): Promise<Kafka> {
  const { brokers, ssl, sasl } = kafka;
  return createKafka({ clientId: `headrace-${name}`, brokers, ssl, sasl, retries, logger });
}

/** A client of the schema registry. */
export function schemaRegistry({ schemaRegistry: { url, auth } }: Config): SchemaRegistry {
  return createSchemaRegistry({ url, auth });
}

/** The name and address of each server for messages, without credentials. */
export function serverNames({ mongodb, kafka, schemaRegistry, postgres }: Config): Record<ServerKind, string> {
  return {
    mongodb: `MongoDB at ${mongodb.uri.replace(/^[a-z+]+:\/\/(?:[^/?]*@)?/, "").replace(/[/?].*$/, "")}`,
    kafka: `Kafka at ${kafka.brokers.join(",")}`,
    schemaRegistry: `The schema registry at ${new URL(schemaRegistry.url).host}`,
    postgres: `PostgreSQL at ${postgresAddress(postgres.url)}`,
  };
}

/** The servers of a pipeline, as the config names them. */
export type ServerKind = "mongodb" | "kafka" | "schemaRegistry" | "postgres";

function postgresAddress(url: string): string {
  if (!URL.canParse(url)) return url.replace(/^[a-z]+:\/\/(?:.*@)?/, "").replace(/[/?].*$/, "");
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
