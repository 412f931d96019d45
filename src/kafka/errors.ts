import type { ErrorCode } from "../errors/codes.ts";
import { HeadraceError } from "../errors/error.ts";
import { HANDSHAKE_CUT_REASON, isHandshakeCut, tlsMistake } from "../runtime/tls-codes.ts";

/** The fields of kafkajs's errors that this file reads. Its types lack some of them. */
interface KafkaErrorShape {
  readonly name?: unknown;
  /** The protocol's own name of the error. */
  readonly type?: unknown;
  readonly retriable?: unknown;
  readonly cause?: unknown;
}

/** By the protocol's error name. For other names kafkajs's `retriable` decides. */
const BY_TYPE: Readonly<Record<string, ErrorCode>> = {
  TOPIC_AUTHORIZATION_FAILED: "KAFKA_FORBIDDEN",
  GROUP_AUTHORIZATION_FAILED: "KAFKA_FORBIDDEN",
  CLUSTER_AUTHORIZATION_FAILED: "KAFKA_FORBIDDEN",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "KAFKA_FORBIDDEN",
  SASL_AUTHENTICATION_FAILED: "KAFKA_LOGIN_FAILED",
  UNSUPPORTED_SASL_MECHANISM: "KAFKA_LOGIN_FAILED",
  ILLEGAL_SASL_STATE: "KAFKA_LOGIN_FAILED",
  MESSAGE_TOO_LARGE: "KAFKA_MESSAGE_TOO_LARGE",
  RECORD_LIST_TOO_LARGE: "KAFKA_MESSAGE_TOO_LARGE",
  UNKNOWN_TOPIC_OR_PARTITION: "KAFKA_TOPIC_MISSING",
};

/** By the name of kafkajs's class. These have `retriable: false`, though only the same call must not be repeated. */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: "KAFKA_LOGIN_FAILED",
  KafkaJSTimeout: "KAFKA_UNAVAILABLE",
  KafkaJSLockTimeout: "KAFKA_UNAVAILABLE",
  KafkaJSAggregateError: "KAFKA_UNAVAILABLE",
};

/**
 * Classifies by name and type, never by message. Where kafkajs gave up after retries (`KafkaJSNumberOfRetriesExceeded`,
 * `KafkaJSNonRetriableError`), the cause decides.
 */
function classifyKafkaError(error: unknown): ErrorCode {
  const { name, type, retriable, cause } = (error ?? {}) as KafkaErrorShape;
  const known = lookUp(BY_TYPE, type) ?? lookUp(BY_NAME, name);
  if (known !== undefined) return known;
  if (cause !== undefined && cause !== null && cause !== error) return classifyKafkaError(cause);
  return retriable === true ? "KAFKA_UNAVAILABLE" : "KAFKA_UNEXPECTED";
}

/**
 * Classifies an error of kafkajs. A HeadraceError inside it, as our decoder throws it into kafkajs, is returned itself.
 * @param doing what failed, for the message: `reading the topics`
 */
export function kafkaError(error: unknown, doing: string): HeadraceError {
  const own = headraceErrorIn(error);
  if (own !== undefined) return own;
  if (isHandshakeCut(error)) {
    const message = `No TLS with Kafka: ${HANDSHAKE_CUT_REASON}`;
    return new HeadraceError("KAFKA_TLS_FAILED", { kind: "retryable", message }, error);
  }
  const tls = tlsMistake(error);
  if (tls !== null)
    return new HeadraceError("KAFKA_TLS_FAILED", { message: `No TLS with Kafka: ${tls.reason} (${tls.code}).` }, error);
  const { name, type } = (error ?? {}) as KafkaErrorShape;
  const what = typeof type === "string" ? type : typeof name === "string" ? name : "an unknown error";
  return new HeadraceError(classifyKafkaError(error), { message: `Kafka failed at ${doing}: ${what}` }, error);
}

function headraceErrorIn(error: unknown): HeadraceError | undefined {
  if (error instanceof HeadraceError) return error;
  const { cause } = (error ?? {}) as KafkaErrorShape;
  return cause === undefined || cause === error ? undefined : headraceErrorIn(cause);
}

function lookUp(table: Readonly<Record<string, ErrorCode>>, key: unknown): ErrorCode | undefined {
  return typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
}

/**
 * The broker's errors for a producer whose transaction or epoch is no longer the current one. The reason may be a second
 * producer of the name, a transaction that took too long, or a coordinator that moved. The next session finds out
 * which, in the positions topic.
 */
const SESSION_LOST: ReadonlySet<unknown> = new Set([
  "INVALID_PRODUCER_EPOCH",
  "PRODUCER_FENCED",
  "INVALID_TXN_STATE",
  "INVALID_PRODUCER_ID_MAPPING",
  "UNKNOWN_PRODUCER_ID",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "TRANSACTION_COORDINATOR_FENCED",
  "CONCURRENT_TRANSACTIONS",
  // UNKNOWN_SERVER_ERROR (-1): the coordinator's answer to EndTxn, seen while another producer took over.
  "UNKNOWN",
]);

/** Like `kafkaError`, for the transactional producer. */
export function producerError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const type = protocolType(error);
  if (!SESSION_LOST.has(type)) return kafkaError(error, doing);
  return new HeadraceError(
    "KAFKA_SESSION_LOST",
    {
      message: `Kafka no longer accepts this producer's transaction at ${doing}: ${String(type)}`,
    },
    error,
  );
}

/** Whether Kafka refused a batch of records for its size. */
export function isTooLarge(error: unknown): boolean {
  const type = protocolType(error);
  return type === "MESSAGE_TOO_LARGE" || type === "RECORD_LIST_TOO_LARGE";
}

/** The protocol's name of the innermost error. */
function protocolType(error: unknown): unknown {
  const { type, cause } = (error ?? {}) as { type?: unknown; cause?: unknown };
  return typeof type === "string" ? type : cause === undefined || cause === error ? undefined : protocolType(cause);
}

/** For an acknowledged record without the offset that the protocol promises. */
export function withoutOffset(topic: string): HeadraceError {
  return new HeadraceError("KAFKA_UNEXPECTED", {
    message: `Kafka acknowledged a record of the topic ${topic} without its offset.`,
  });
}
