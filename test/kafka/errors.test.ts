import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } from "kafkajs";
import { expect, test } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import { kafkaError, producerError } from "../../src/kafka/errors.ts";

test.each([
  ["a lost connection", { name: "KafkaJSConnectionError", retriable: true }, "retryable"],
  [
    "retries that were used up",
    {
      name: "KafkaJSNumberOfRetriesExceeded",
      retriable: false,
      cause: { name: "KafkaJSConnectionError", retriable: true },
    },
    "retryable",
  ],
  [
    "a leader being elected",
    { name: "KafkaJSProtocolError", type: "LEADER_NOT_AVAILABLE", retriable: true },
    "retryable",
  ],
  [
    "a topic that is not there (yet)",
    { name: "KafkaJSProtocolError", type: "UNKNOWN_TOPIC_OR_PARTITION", retriable: true },
    "retryable",
  ],
  ["a wrong password", { name: "KafkaJSSASLAuthenticationError", retriable: false }, "fatal"],
  [
    "missing rights, wrapped",
    {
      name: "KafkaJSNonRetriableError",
      retriable: false,
      cause: { name: "KafkaJSProtocolError", type: "GROUP_AUTHORIZATION_FAILED", retriable: false },
    },
    "fatal",
  ],
  [
    "a message that is too large",
    { name: "KafkaJSProtocolError", type: "MESSAGE_TOO_LARGE", retriable: false },
    "fatal",
  ],
  [
    "a bug inside kafkajs",
    { name: "KafkaJSNonRetriableError", retriable: false, cause: new TypeError("x is not a function") },
    "fatal",
  ],
  ["nothing at all", undefined, "fatal"],
  ["a name of Object's prototype", { name: "constructor", type: "toString" }, "fatal"],
])("%s is classified", (_, error, kind) => {
  expect(kafkaError(error, "testing").kind).toBe(kind);
});

test("the error names what was done and keeps its cause", () => {
  const cause = { name: "KafkaJSProtocolError", type: "TOPIC_AUTHORIZATION_FAILED", retriable: false };
  expect(kafkaError(cause, "reading the topics")).toMatchObject({
    code: "KAFKA_FORBIDDEN",
    kind: "fatal",
    message: "Kafka failed at reading the topics: TOPIC_AUTHORIZATION_FAILED",
    cause,
  });
});

function protocolError(type: string): Error {
  return Object.assign(new KafkaJSProtocolError(type), { type, retriable: false });
}

test.each([
  "INVALID_PRODUCER_EPOCH",
  "PRODUCER_FENCED",
  "INVALID_TXN_STATE",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN",
])("%s ends the session, not the producer", (type) => {
  const cause = protocolError(type);
  expect(producerError(cause, "testing")).toMatchObject({ code: "KAFKA_SESSION_LOST", kind: "retryable", cause });
});

test("an error that kafkajs wraps after its retries is classified by its cause", () => {
  const cause = protocolError("PRODUCER_FENCED");
  const wrapped = Object.assign(new KafkaJSNonRetriableError("gave up"), { cause });
  expect(producerError(wrapped, "testing").code).toBe("KAFKA_SESSION_LOST");
  const exceeded = new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 3, retryTime: 1 });
  expect(producerError(exceeded, "testing").code).toBe("KAFKA_SESSION_LOST");
});

test("other errors are classified as for the consumer, and a HeadraceError stays as it is", () => {
  expect(producerError(protocolError("TOPIC_AUTHORIZATION_FAILED"), "testing").code).toBe("KAFKA_FORBIDDEN");
  const error = new HeadraceError("FENCED", { message: "a" });
  expect(producerError(error, "testing")).toBe(error);
});
