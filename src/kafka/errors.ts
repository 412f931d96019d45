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
