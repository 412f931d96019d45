import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { Kafka, logLevel } from "kafkajs";
import type { KafkaConfig } from "kafkajs";
import { HeadraceError } from "../errors/error.ts";
import type { Logger } from "../runtime/logger.ts";
import { patchBrokers } from "./wire/broker-patches.ts";
import { replaceFetchDecoder } from "./wire/fetch-response.ts";
import { replaceProduceEncoder } from "./wire/produce-request.ts";
import { restRequestQueues } from "./wire/request-queue.ts";
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
 * sends its first request (docs/adr/0005), and is mended where it mistakes a silent broker for a connected one or wakes up without need. kafkajs
 * keeps all of it in global tables, so it holds for the process.
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
  patchBrokers();
  restRequestQueues();
  isPatched = true;
}

async function readTlsFiles(files: TlsFiles): Promise<object> {
  const ca = await readTlsFile("caFile", files);
  const cert = await readTlsFile("certFile", files);
  const key = await readTlsFile("keyFile", files);
  const context = {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  checkTlsFiles(context);
  return context;
}

async function readTlsFile(setting: keyof TlsFiles, files: TlsFiles): Promise<string | undefined> {
  const file = files[setting];
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `The file ${file} of kafka.ssl.${setting} cannot be read (${code}).`;
    throw new HeadraceError("TLS_FILE_UNREADABLE", { message }, error);
  }
  // OpenSSL ignores a file of authorities that has none.
  if (!text.includes("-----BEGIN ")) {
    const message = `The file ${file} of kafka.ssl.${setting} is not PEM.`;
    throw new HeadraceError("TLS_FILE_UNREADABLE", {
      message,
      remedy: "Name a PEM file: it has lines like -----BEGIN CERTIFICATE-----.",
    });
  }
  return text;
}

/** Once, and before kafkajs: it takes what OpenSSL refuses for a broker that is not there. */
function checkTlsFiles(context: { readonly ca?: string[]; readonly cert?: string; readonly key?: string }): void {
  try {
    createSecureContext(context);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `The certificates and keys of kafka.ssl cannot be used: ${reason}`;
    throw new HeadraceError("KAFKA_TLS_FAILED", { message }, error);
  }
}
