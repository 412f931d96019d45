import type { ErrorTable } from "./error-table.ts";

/** Kafka: see `codes.ts` for how to add a code. */
export const KAFKA_ERRORS = {
  KAFKA_UNAVAILABLE: {
    kind: "retryable",
    meaning: "No broker can be reached, or Kafka does not answer in time.",
    remedy: "Check that the brokers run and can be reached; Headrace goes on by itself once they do.",
  },
  KAFKA_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "Kafka refuses the user.",
    remedy: "Check the user, the password and the SASL mechanism.",
  },
  KAFKA_FORBIDDEN: {
    kind: "fatal",
    meaning: "Kafka does not let the user do what the message names.",
    remedy: "Grant this user the rights on the pipeline's topics, group and transactional id.",
  },
  KAFKA_MESSAGE_TOO_LARGE: {
    kind: "fatal",
    meaning: "Kafka refuses a record of Headrace's own topics (positions, signals, dead letters) for its size.",
    remedy: "Raise max.message.bytes of the topic.",
  },
  KAFKA_BATCH_REFUSED: {
    kind: "retryable",
    meaning: "Kafka refused records of the producer as too large for their topic.",
    remedy:
      "Nothing: Headrace sends smaller batches, and the key of a record that is too large by itself goes to the dead letters. To have it taken, raise max.message.bytes of the topic, start the producer again, and replay it.",
  },
  KAFKA_TOPIC_MISSING: {
    kind: "retryable",
    meaning: "A topic of the pipeline does not exist.",
    remedy: "The producer makes the pipeline's topics: start it, or find out who deleted the topic.",
  },
  KAFKA_SESSION_LOST: {
    kind: "retryable",
    meaning:
      "Kafka no longer takes the producer's transaction: it took too long, its coordinator moved, or a second producer of the name was started.",
    remedy: "Nothing: Headrace begins a new session, and stops if a second producer of this name runs.",
  },
  KAFKA_UNEXPECTED: {
    kind: "fatal",
    meaning: "Kafka or its client answered something that Headrace does not know.",
    remedy: "Look at the cause and into the broker's log, mend it, and start again.",
  },
  FENCED: {
    kind: "fatal",
    meaning: "A second producer of the same pipeline name has been started and has taken over.",
    remedy: "Run one producer of each name; give a second pipeline another name.",
  },
  TOPIC_NOT_CREATED: {
    kind: "fatal",
    meaning: "A topic of the pipeline does not exist and could not be created.",
    remedy: "Check kafka.replicationFactor against the number of brokers, and this user's right to create topics.",
  },
  TOPIC_DELETED: {
    kind: "fatal",
    meaning:
      "A topic of the pipeline was deleted while the producer ran. Records in it that were not applied are lost.",
    remedy:
      "Of a collection's topic: stop the consumers, delete the topic's rows from headrace.progress, start the producer, which makes the topic anew, have the collection copied anew with `headrace resync --collection`, and start the consumers. Of the positions topic: start the producer, which copies everything anew.",
  },
  TOPIC_PARTITIONS: {
    kind: "fatal",
    meaning: "A topic has another number of partitions than the config says.",
    remedy:
      "Set kafka.partitions to what the collections' topics have (with another number, keys would move between partitions); Headrace's own topics have one.",
  },
  TOO_FEW_BROKERS: {
    kind: "fatal",
    meaning: "Topics are to have more copies than Kafka has brokers.",
    remedy: "Lower kafka.replicationFactor or add brokers.",
  },
  TOPIC_RECREATED: {
    kind: "fatal",
    meaning:
      "A partition ends before the offset up to which it has been applied: the topic was deleted and made anew, has lost records, or is another Kafka's.",
    remedy:
      "Check that this is the right Kafka. If the topic was made anew or has lost records, have its collection copied anew (`headrace resync`), and let the consumer read it from its start: the statement for that is in the error.",
  },
  HISTORY_LOST_IN_KAFKA: {
    kind: "fatal",
    meaning:
      "Kafka has deleted records of a topic before they were applied: the consumer stood for longer than the topic's retention, and `kafka.onHistoryLost` is `fail`.",
    remedy:
      "Start the consumer with `kafka.onHistoryLost: resnapshot`: it has the producer copy the collection anew, and then delete the rows whose documents are gone. Give the topic a longer retention (`kafka.retentionMs`).",
  },
} as const satisfies ErrorTable;
