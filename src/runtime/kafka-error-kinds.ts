import { HeadraceError } from "./errors.ts";
import type { ErrorKind } from "./errors.ts";

/** What an error of kafkajs means for Headrace. */
export interface KafkaErrorClass {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly remedy: string;
}

/** The fields of kafkajs's errors that say what they are. Read structurally: this folder does not import kafkajs. */
interface KafkaErrorShape {
  readonly name?: unknown;
  /** The protocol's own name of the error. */
  readonly type?: unknown;
  readonly retriable?: unknown;
  readonly cause?: unknown;
}

const UNAVAILABLE: KafkaErrorClass = {
  code: "KAFKA_UNAVAILABLE",
  kind: "retryable",
  remedy: "Check that the brokers run and can be reached; Headrace goes on by itself once they do.",
};
const LOGIN_FAILED: KafkaErrorClass = {
  code: "KAFKA_LOGIN_FAILED",
  kind: "fatal",
  remedy: "Check the user, the password and the SASL mechanism.",
};
const FORBIDDEN: KafkaErrorClass = {
  code: "KAFKA_FORBIDDEN",
  kind: "fatal",
  remedy: "Grant this user the rights on the pipeline's topics, group and transactional id.",
};
const TOO_LARGE: KafkaErrorClass = {
  code: "KAFKA_MESSAGE_TOO_LARGE",
  kind: "fatal",
  remedy: "Raise max.message.bytes of the topic.",
};
const TOPIC_MISSING: KafkaErrorClass = {
  code: "KAFKA_TOPIC_MISSING",
  kind: "retryable",
  remedy: "The producer makes the pipeline's topics: start it, or find out who deleted the topic.",
};
const UNEXPECTED: KafkaErrorClass = {
  code: "KAFKA_UNEXPECTED",
  kind: "fatal",
  remedy: "Look at the cause; Kafka or its client answered something that Headrace does not know.",
};

/** By the protocol's error name. Those that are not here go by the `retriable` that Kafka itself gives them. */
const BY_TYPE: Readonly<Record<string, KafkaErrorClass>> = {
  TOPIC_AUTHORIZATION_FAILED: FORBIDDEN,
  GROUP_AUTHORIZATION_FAILED: FORBIDDEN,
  CLUSTER_AUTHORIZATION_FAILED: FORBIDDEN,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: FORBIDDEN,
  SASL_AUTHENTICATION_FAILED: LOGIN_FAILED,
  UNSUPPORTED_SASL_MECHANISM: LOGIN_FAILED,
  ILLEGAL_SASL_STATE: LOGIN_FAILED,
  MESSAGE_TOO_LARGE: TOO_LARGE,
  RECORD_LIST_TOO_LARGE: TOO_LARGE,
  UNKNOWN_TOPIC_OR_PARTITION: TOPIC_MISSING,
};

/** By kafkajs's class; these say `retriable: false` though only the single call must not be repeated. */
const BY_NAME: Readonly<Record<string, KafkaErrorClass>> = {
  KafkaJSSASLAuthenticationError: LOGIN_FAILED,
  KafkaJSGroupCoordinatorNotFound: UNAVAILABLE,
  KafkaJSTimeout: UNAVAILABLE,
  KafkaJSLockTimeout: UNAVAILABLE,
  KafkaJSAggregateError: UNAVAILABLE,
};

/**
 * Classifies by name and type, never by message. kafkajs wraps what it gave up on (`KafkaJSNumberOfRetriesExceeded`,
 * `KafkaJSNonRetriableError`): then the cause decides.
 */
export function classifyKafkaError(error: unknown): KafkaErrorClass {
  const { name, type, retriable, cause } = (error ?? {}) as KafkaErrorShape;
  const known = lookUp(BY_TYPE, type) ?? lookUp(BY_NAME, name);
  if (known !== undefined) return known;
  if (cause !== undefined && cause !== null && cause !== error) return classifyKafkaError(cause);
  return retriable === true ? UNAVAILABLE : UNEXPECTED;
}

/** @param doing what was being done, for the message: `reading the topics`. */
export function kafkaError(error: unknown, doing: string): HeadraceError {
  const { code, kind, remedy } = classifyKafkaError(error);
  const { name, type } = (error ?? {}) as KafkaErrorShape;
  const what = typeof type === "string" ? type : typeof name === "string" ? name : "an unknown error";
  return new HeadraceError(code, kind, { message: `Kafka failed at ${doing}: ${what}`, remedy }, error);
}

function lookUp(table: Readonly<Record<string, KafkaErrorClass>>, key: unknown): KafkaErrorClass | undefined {
  return typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
}
