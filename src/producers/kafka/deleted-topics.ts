import type { Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { answered, kafkaError } from "../../kafka/errors.ts";

/** What kafkajs makes of a topic that is gone. */
const SUSPICIOUS: ReadonlySet<string> = new Set(["KAFKA_TOPIC_MISSING", "KAFKA_UNEXPECTED"]);

/**
 * Whether topics that existed are gone, after publishing to them has failed with `failure`. To make them anew would
 * hide that records which nobody has applied are gone with them.
 * @returns `failure`, or TOPIC_DELETED with it as cause
 */
export async function findDeleted(
  kafka: Kafka,
  topics: readonly string[],
  failure: HeadraceError,
): Promise<HeadraceError> {
  if (!SUSPICIOUS.has(failure.code)) return failure;
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
  try {
    await admin.connect();
    const existing = new Set(await answered(admin.listTopics()));
    const missing = topics.filter((topic) => !existing.has(topic));
    return missing.length === 0 ? failure : deleted(missing, failure);
  } catch (error) {
    throw kafkaError(error, "looking for the topics");
  } finally {
    await admin.disconnect();
  }
}

function deleted(topics: readonly string[], cause: HeadraceError): HeadraceError {
  return new HeadraceError("TOPIC_DELETED", { message: `Kafka has no topic ${topics.join(", ")} any more.` }, cause);
}
