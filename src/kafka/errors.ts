import type { ErrorCode } from "../errors/codes.ts";
import { HeadraceError } from "../errors/error.ts";

/** The fields of kafkajs's errors that say what they are. Read structurally: this folder does not import kafkajs. */
interface KafkaErrorShape {
  readonly name?: unknown;
  /** The protocol's own name of the error. */
  readonly type?: unknown;
  readonly retriable?: unknown;
  readonly cause?: unknown;
}

/** By the protocol's error name. Those that are not here go by the `retriable` that Kafka itself gives them. */
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

/** By kafkajs's class; these say `retriable: false` though only the single call must not be repeated. */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: "KAFKA_LOGIN_FAILED",
  KafkaJSGroupCoordinatorNotFound: "KAFKA_UNAVAILABLE",
  KafkaJSTimeout: "KAFKA_UNAVAILABLE",
  KafkaJSLockTimeout: "KAFKA_UNAVAILABLE",
  KafkaJSAggregateError: "KAFKA_UNAVAILABLE",
};

/**
 * Classifies by name and type, never by message. kafkajs wraps what it gave up on (`KafkaJSNumberOfRetriesExceeded`,
 * `KafkaJSNonRetriableError`): then the cause decides.
 */
function classifyKafkaError(error: unknown): ErrorCode {
  const { name, type, retriable, cause } = (error ?? {}) as KafkaErrorShape;
  const known = lookUp(BY_TYPE, type) ?? lookUp(BY_NAME, name);
  if (known !== undefined) return known;
  if (cause !== undefined && cause !== null && cause !== error) return classifyKafkaError(cause);
  return retriable === true ? "KAFKA_UNAVAILABLE" : "KAFKA_UNEXPECTED";
}

/**
 * What kafkajs answers to a question about the cluster. Where the connection breaks before the broker's answer, its
 * `listTopics`, `fetchTopicMetadata` and `describeCluster` (2.2.4) fail at a field of null.
 * @throws HeadraceError KAFKA_UNAVAILABLE then
 */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new HeadraceError(
      "KAFKA_UNAVAILABLE",
      { message: "No broker has answered a question about the cluster" },
      error,
    );
  }
}

/** @param doing what was being done, for the message: `reading the topics`. */
export function kafkaError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const { name, type } = (error ?? {}) as KafkaErrorShape;
  const what = typeof type === "string" ? type : typeof name === "string" ? name : "an unknown error";
  return new HeadraceError(classifyKafkaError(error), { message: `Kafka failed at ${doing}: ${what}` }, error);
}

function lookUp(table: Readonly<Record<string, ErrorCode>>, key: unknown): ErrorCode | undefined {
  return typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
}

/**
 * What the broker answers to a producer whose transaction or epoch is not the current one any more: a second
 * producer of the name, but also a transaction that took too long or a coordinator that moved. Which one it was,
 * the next session sees in the positions topic.
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
  // UNKNOWN_SERVER_ERROR, -1. Seen as the coordinator's answer to EndTxn while another producer took over.
  "UNKNOWN",
]);

/** As `kafkaError`, for the transactional producer. */
export function producerError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const type = protocolType(error);
  if (!SESSION_LOST.has(type)) return kafkaError(error, doing);
  return new HeadraceError(
    "KAFKA_SESSION_LOST",
    {
      message: `Kafka no longer takes this producer's transaction at ${doing}: ${String(type)}`,
    },
    error,
  );
}

/** Whether Kafka refused a batch of records for its size. */
export function isTooLarge(error: unknown): boolean {
  const type = protocolType(error);
  return type === "MESSAGE_TOO_LARGE" || type === "RECORD_LIST_TOO_LARGE";
}

/** The protocol's name of the innermost error; kafkajs wraps what it gave up on. */
function protocolType(error: unknown): unknown {
  const { type, cause } = (error ?? {}) as { type?: unknown; cause?: unknown };
  return typeof type === "string" ? type : cause === undefined || cause === error ? undefined : protocolType(cause);
}
