import { readFile } from "node:fs/promises";
import { Kafka, logLevel } from "kafkajs";
import type { KafkaConfig } from "kafkajs";
import { HeadraceError } from "../errors/error.ts";
import type { Logger } from "../runtime/logger.ts";
import { replaceFetchDecoder } from "./wire/fetch-response.ts";
import { replaceProduceEncoder } from "./wire/produce-request.ts";
import { kafkaSocket } from "./wire/socket.ts";
import { registerZstd } from "./wire/zstd.ts";

/** PEM files. */
interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export interface KafkaClientOptions {
  /** Names the client in the brokers' logs and quotas. */
  readonly clientId: string;
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** `true`: TLS with the system's certificates. */
  readonly ssl: boolean | TlsFiles;
  readonly sasl?: SaslLogin | undefined;
  /** How often kafkajs itself repeats a failed connection. Default 5. */
  readonly retries?: number | undefined;
  /** Gets kafkajs's warnings, as debug lines: whoever called kafkajs throws or logs the failure itself. */
  readonly logger: Logger;
}

interface SaslLogin {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

/** How long one attempt to connect to a broker may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Makes a client; it connects when it is used.
 * @throws HeadraceError TLS_FILE_UNREADABLE, KAFKA_CLIENT_UNKNOWN
 */
export async function createKafka(options: KafkaClientOptions): Promise<Kafka> {
  const { clientId, brokers, ssl, sasl, retries = 5, logger } = options;
  return newKafka({
    clientId,
    brokers: [...brokers],
    ssl: typeof ssl === "boolean" ? ssl : await readTlsFiles(ssl),
    ...(sasl === undefined ? {} : { sasl: sasl as NonNullable<KafkaConfig["sasl"]> }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    socketFactory: kafkaSocket,
    retry: { retries },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, log: { message } }) =>
        logger.debug({ kafkajs: namespace }, message),
  });
}

/**
 * The only place that calls `new Kafka`: here kafkajs gets our zstd codec, Produce encoder and Fetch decoder, before it
 * sends its first request (docs/adr/0005). kafkajs keeps all three in global tables, so they hold for the process.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function newKafka(config: KafkaConfig): Kafka {
  patchKafkajs();
  return new Kafka(config);
}

let isPatched = false;

function patchKafkajs(): void {
  if (isPatched) return;
  registerZstd();
  replaceProduceEncoder();
  replaceFetchDecoder();
  isPatched = true;
}

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
