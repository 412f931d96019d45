import { readFile } from "node:fs/promises";
import { Kafka, logLevel } from "kafkajs";
import type { KafkaConfig } from "kafkajs";
import type { Config } from "../config/config-schema.ts";
import { PostgresClient } from "../consumers/postgres/client.ts";
import { HeadraceError } from "../errors/error.ts";
import { kafkaSocket } from "../kafka/wire/socket.ts";
import { registerZstd } from "../kafka/wire/zstd.ts";
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
 * @param retries how often kafkajs itself tries again to connect
 * @throws HeadraceError TLS_FILE_UNREADABLE
 */
export async function kafkaClient({ name, kafka }: Config, logger: Logger, retries = 5): Promise<Kafka> {
  registerZstd();
  const ssl = typeof kafka.ssl === "boolean" ? kafka.ssl : await readTlsFiles(kafka.ssl);
  return new Kafka({
    clientId: `headrace-${name}`,
    brokers: kafka.brokers,
    ssl,
    ...(kafka.sasl === undefined ? {} : { sasl: kafka.sasl as NonNullable<KafkaConfig["sasl"]> }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    socketFactory: kafkaSocket,
    retry: { retries },
    logLevel: logLevel.WARN,
    // What it fails at is thrown and logged by whoever asked; here are only the steps on the way.
    logCreator:
      () =>
      ({ namespace, log: { message } }) =>
        logger.debug({ kafkajs: namespace }, message),
  });
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

type TlsFiles = Exclude<Config["kafka"]["ssl"], boolean>;

async function readTlsFiles(files: TlsFiles): Promise<object> {
  const [ca, cert, key] = await Promise.all([files.caFile, files.certFile, files.keyFile].map(readTlsFile));
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readTlsFile(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new HeadraceError("TLS_FILE_UNREADABLE", { message: `The file ${file} cannot be read` }, error);
  }
}
