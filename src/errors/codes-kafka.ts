import type { ErrorTable } from "./error-table.ts";

/** Kafka: see `codes.ts` for how to add a code. */
export const KAFKA_ERRORS = {
  KAFKA_UNAVAILABLE: {
    kind: "retryable",
    meaning: "Headrace cannot reach a broker, or Kafka does not answer in time.",
    remedy: "Check that the brokers run and can be reached; Headrace resumes once they do.",
  },
  KAFKA_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "Kafka refuses the login.",
    remedy: "Correct the user, the password or the SASL mechanism in kafka.sasl.",
  },
  KAFKA_FORBIDDEN: {
    kind: "fatal",
    meaning: "The Kafka user lacks a right; the message names the resource.",
    remedy: "Grant this user the rights on the pipeline's topics, consumer group and transactional id.",
  },
  KAFKA_MESSAGE_TOO_LARGE: {
    kind: "fatal",
    meaning:
      "Kafka refuses a record of one of Headrace's own topics (positions, signals, dead letters) because of its size.",
    remedy: "Raise max.message.bytes of the topic.",
  },
  KAFKA_BATCH_REFUSED: {
    kind: "retryable",
    meaning: "Kafka refuses records of the producer because they are too large for their topic.",
    remedy:
      "Nothing: Headrace sends smaller batches. If a single record is too large, its key goes to the dead letters. To replicate it, raise max.message.bytes of the topic, restart the producer and replay the dead letter.",
  },
  KAFKA_TOPIC_MISSING: {
    kind: "retryable",
    meaning: "A topic of the pipeline does not exist.",
    remedy: "Start the producer, which creates the pipeline's topics. If the topic existed, find out who deleted it.",
  },
  KAFKA_SESSION_LOST: {
    kind: "retryable",
    meaning:
      "Kafka no longer accepts the producer's transaction: it took too long, its coordinator moved, or a second producer with the same name started.",
    remedy: "Nothing: Headrace opens a new session. It stops if a second producer with this name runs.",
  },
  KAFKA_UNEXPECTED: {
    kind: "fatal",
    meaning: "Kafka or its client returned an error that Headrace does not know.",
    remedy: "Look at the cause and at the broker's log, fix the problem, and start again.",
  },
  KAFKA_TOO_OLD: {
    kind: "fatal",
    meaning: "The broker is older than Kafka 2.3, or a topic holds records in the format from before Kafka 0.11.",
    remedy: "Use brokers of Kafka 2.3 or later, and topics that Headrace created.",
  },
  KAFKA_RESPONSE_UNREADABLE: {
    kind: "fatal",
    meaning: "Headrace cannot decode a response of a broker, or records in it.",
    remedy: "Check the broker's log and disk for damage, and what else writes to the topic. Otherwise report it.",
  },
  KAFKA_CLIENT_UNKNOWN: {
    kind: "fatal",
    meaning: "The installed kafkajs is not the version whose internals Headrace relies on.",
    remedy: "Install Headrace's dependencies again with `npm ci`.",
  },
  FENCED: {
    kind: "fatal",
    meaning: "A second producer of the same pipeline has started and taken over.",
    remedy: "Run one producer per pipeline name. Give a second pipeline another name.",
  },
  TOPIC_NOT_CREATED: {
    kind: "fatal",
    meaning: "A topic of the pipeline does not exist, and Headrace could not create it.",
    remedy: "Compare kafka.replicationFactor with the number of brokers, and check that this user may create topics.",
  },
  TOPIC_DELETED: {
    kind: "fatal",
    meaning:
      "Somebody deleted a topic of the pipeline while the producer was running. Its records that were not applied yet are lost.",
    remedy:
      "For a collection's topic: (1) stop the consumers; (2) delete the topic's rows from headrace.progress and headrace.dead_letters; (3) start the producer; (4) run `headrace resync --collection NAME`; (5) start the consumers. For the positions topic: start the producer. It copies everything again.",
  },
  TOPIC_PARTITIONS: {
    kind: "fatal",
    meaning: "A topic has a different number of partitions than the config says.",
    remedy:
      "Set kafka.partitions to the number that the collections' topics have: another number would move keys between partitions. Headrace's own topics have one partition.",
  },
  TOO_FEW_BROKERS: {
    kind: "fatal",
    meaning: "kafka.replicationFactor is higher than the number of brokers.",
    remedy: "Lower kafka.replicationFactor or add brokers.",
  },
  TOPIC_RECREATED: {
    kind: "fatal",
    meaning:
      "The topic ends at a lower offset than PostgreSQL has already applied. Somebody deleted and recreated the topic, the topic lost records, or this is another Kafka cluster.",
    remedy:
      "Check that this is the right Kafka cluster. If the topic was recreated or lost records, copy its collection again (`headrace resync`), and let the consumer read the topic from its start with the statement that the error shows.",
  },
  HISTORY_LOST_IN_KAFKA: {
    kind: "fatal",
    meaning:
      "Kafka deleted records before the consumer applied them: the consumer was stopped for longer than the topic's retention, and `kafka.onHistoryLost` is `fail`.",
    remedy:
      "Start the consumer with `kafka.onHistoryLost: resnapshot`. The producer then copies the collection again, and the consumer deletes the rows whose documents are gone. Raise `kafka.retentionMs`.",
  },
} as const satisfies ErrorTable;
