import type { ErrorTable } from "./error-table.ts";

/** Kafka: see `codes.ts` for how to add a code. */
export const KAFKA_ERRORS = {
  KAFKA_UNAVAILABLE: {
    kind: "retryable",
    meaning: "Headrace cannot reach a broker, or Kafka does not answer in time.",
    remedy:
      "Check that the brokers run at the addresses in kafka.brokers, and whether they want TLS or a login (kafka.ssl, kafka.sasl). Headrace resumes once they answer.",
  },
  KAFKA_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "Kafka refuses the login.",
    remedy: "Correct the user, the password or the SASL mechanism in kafka.sasl.",
  },
  KAFKA_TLS_FAILED: {
    kind: "fatal",
    meaning:
      "No TLS connection to the brokers is possible with the settings of kafka.ssl. The message gives the reason.",
    remedy:
      "Correct kafka.ssl. `caFile` must have the authority that signed the brokers' certificates, and kafka.brokers the host names in them. Without TLS at the brokers, set `kafka.ssl: false`.",
  },
  KAFKA_FORBIDDEN: {
    kind: "fatal",
    meaning: "The Kafka user lacks a right; the message names it, its resource, and what needs it.",
    remedy: "`headrace check` prints the commands that give the missing rights. docs/rights.md lists all rights.",
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
    meaning: "A topic of the pipeline does not exist; the message names it.",
    remedy:
      "Start the producer, or restart it if it is running: it creates the missing topics at its start. If somebody deleted the topic, its records are lost; restrict the right Delete on the pipeline's topics.",
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
  CONSUMER_CONFIG_DIFFERS: {
    kind: "fatal",
    meaning:
      "A consumer of the same pipeline runs with another config. The two would share the partitions, and each would write its part into its own tables.",
    remedy:
      "Start all consumers of a pipeline with the same config: stop those with the old one first. Give another pipeline another name.",
  },
  TOPIC_NOT_CREATED: {
    kind: "fatal",
    meaning: "A topic of the pipeline does not exist, and Headrace could not create it.",
    remedy: "Compare kafka.replicationFactor with the number of brokers, and check that this user may create topics.",
  },
  TOPIC_DELETED: {
    kind: "fatal",
    meaning:
      "Somebody deleted a topic that the pipeline has used. Lost are its records that were not applied yet, or, if it is the signals topic, the requests that were not carried out. So Headrace does not create it again without being told.",
    remedy:
      "Check that kafka.brokers names the right Kafka. Then start producer and consumers with `kafka.onHistoryLost: resnapshot`: the producer creates a collection's topic again and copies the collection, and rows whose documents are gone are deleted. If the signals topic was deleted, it copies all collections. If the positions topic was deleted, start the producer: it copies everything again.",
  },
  TOPIC_PARTITIONS: {
    kind: "fatal",
    meaning: "A topic has a different number of partitions than the config says.",
    remedy:
      "Set kafka.partitions to the number that the collections' topics have: another number would move keys between partitions. Headrace's own topics (positions, signals, dlq) have one partition: delete such a topic while it is empty, and Headrace creates it again.",
  },
  TOPIC_SETTINGS: {
    kind: "fatal",
    meaning:
      "An administrator created or changed a topic of the pipeline with settings with which records would be lost or could not be read.",
    remedy:
      "Run the kafka-configs command that the error shows; with TLS or a login it also needs `--command-config FILE`. Headrace creates missing topics with the right settings.",
  },
  TOO_FEW_BROKERS: {
    kind: "fatal",
    meaning: "A topic does not exist, and Kafka has too few brokers to create it with kafka.replicationFactor.",
    remedy: "Start the brokers that are down, add brokers, or lower kafka.replicationFactor.",
  },
  TOPIC_RECREATED: {
    kind: "fatal",
    meaning:
      "A topic of the pipeline is not the one that the pipeline has used: somebody deleted it and created it again, it lost records, or this is another Kafka cluster. Records that were not applied yet are lost.",
    remedy:
      "Check that kafka.brokers names the right Kafka. Then start producer and consumers with `kafka.onHistoryLost: resnapshot`: the producer copies the collection again, the consumer reads the topic from its start, and rows whose documents are gone are deleted.",
  },
  HISTORY_LOST_IN_KAFKA: {
    kind: "fatal",
    meaning:
      "Kafka deleted records before the consumer applied them: the consumer was stopped for longer than the topic's retention, and `kafka.onHistoryLost` is `fail`.",
    remedy:
      "Start the consumer with `kafka.onHistoryLost: resnapshot`. The producer then copies the collection again, and the consumer deletes the rows whose documents are gone. `headrace resync` does not help: its records come behind the lost ones. Raise `kafka.retentionMs`.",
  },
} as const satisfies ErrorTable;
