import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } from "kafkajs";
import { expect, test } from "vitest";
import { producerError } from "../../src/kafka/producer-errors.ts";
import { HeadraceError } from "../../src/errors/error.ts";

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

test("what kafkajs gave up on is classified by its cause", () => {
  const cause = protocolError("PRODUCER_FENCED");
  const wrapped = Object.assign(new KafkaJSNonRetriableError("gave up"), { cause });
  expect(producerError(wrapped, "testing").code).toBe("KAFKA_SESSION_LOST");
  const exceeded = new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 3, retryTime: 1 });
  expect(producerError(exceeded, "testing").code).toBe("KAFKA_SESSION_LOST");
});

test("other errors are Kafka's as for the consumer, and those of Headrace stay", () => {
  expect(producerError(protocolError("TOPIC_AUTHORIZATION_FAILED"), "testing").code).toBe("KAFKA_FORBIDDEN");
  const error = new HeadraceError("FENCED", { message: "a" });
  expect(producerError(error, "testing")).toBe(error);
});
