import { setTimeout as sleep } from "node:timers/promises";
import type { Kafka } from "kafkajs";
import { describeTopics } from "./topics.ts";

/** By name. An id is 32 hexadecimal digits; null if the topic has none. */
export type TopicIds = ReadonlyMap<string, string | null>;

/**
 * The ids of those of the topics that exist. Kafka gives a topic that is created again another id: so an id tells which
 * incarnation of its name a topic is. Brokers before 2.8 have no ids; then all of them are null.
 * @throws HeadraceError
 */
export async function fetchTopicIds(kafka: Kafka, topics: readonly string[]): Promise<TopicIds> {
  return new Map([...(await describeTopics(kafka, topics))].map(([topic, { id }]) => [topic, id]));
}

const LOOKS = 5;
const PAUSE_MS = 1_000;

/**
 * The same, asked again for some seconds while topics seem to be lost: a broker that has just started, or that lags behind
 * the controller, does not know every topic, or knows its last incarnation.
 * @param looksLost whether ids say that a known topic is gone or another one
 * @throws HeadraceError
 */
export function fetchConfirmedTopicIds(
  kafka: Kafka,
  topics: readonly string[],
  looksLost: (ids: TopicIds) => boolean,
): Promise<TopicIds> {
  return confirmed(() => fetchTopicIds(kafka, topics), looksLost);
}

/** What `look` finds, for any look at topics: see `fetchConfirmedTopicIds`. */
export async function confirmed<T>(
  look: () => Promise<T>,
  looksLost: (found: T) => boolean,
  pauseMs = PAUSE_MS,
): Promise<T> {
  for (let looks = 1; ; looks++) {
    const found = await look();
    if (looks === LOOKS || !looksLost(found)) return found;
    await sleep(pauseMs);
  }
}
