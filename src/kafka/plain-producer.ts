import { Partitioners } from "kafkajs";
import type { Kafka, Producer } from "kafkajs";

/**
 * A producer without transactions and idempotence, for single records. After a lost answer the sequence numbers of an
 * idempotent producer of kafkajs are wrong: the broker would drop its next record as a duplicate and report success.
 * So a record may be written twice, and its readers must allow for that. Creates no topic. To be disconnected.
 */
export function plainProducer(kafka: Kafka): Producer {
  return kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 200, retries: 3 },
  });
}
