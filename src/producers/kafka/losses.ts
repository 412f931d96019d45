import type { Kafka } from "kafkajs";
import { errorCode } from "../../errors/error.ts";
import type { HeadraceError } from "../../errors/error.ts";
import { confirmed, fetchTopicIds } from "../../kafka/topic-ids.ts";
import { fetchLogBounds } from "../../kafka/topics.ts";
import type { Position } from "../../schemas/change-event.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import { signalsTopic, topicOf } from "../../schemas/topics.ts";
import { findMismatches, isLost, signalsLoss, topicsLost } from "./mismatches.ts";
import type { Mismatch, SignalsNow } from "./mismatches.ts";

/** How a pipeline no longer fits its position. */
export interface Losses {
  readonly mismatches: readonly Mismatch[];
  /** Why requests are lost; null where none are. */
  readonly signals: HeadraceError | null;
}

export interface LossesOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  /** Those that the pipeline replicates. */
  readonly collections: readonly string[];
  /** `mappingFingerprint` of a collection. */
  readonly mappingOf: (collection: string) => string;
  readonly position: () => Promise<Position | null>;
}

/**
 * Compares the position with the topics and mappings as they are now. Looks again for some seconds while something seems to
 * be lost: a broker that has just started may not know every topic. Only reads.
 * @throws HeadraceError POSITION_OF_OTHER_DATABASE, or Kafka's
 */
export function findLosses(options: LossesOptions): Promise<Losses> {
  return confirmed(
    () => look(options),
    ({ mismatches, signals }) => signals !== null || mismatches.some(isLost),
  );
}

async function look({ kafka, name, database, collections, mappingOf, position }: LossesOptions): Promise<Losses> {
  const stored = await position();
  const topics = new Map(collections.map((collection) => [collection, topicOf(name, database, collection)] as const));
  const ofSignals = signalsTopic(name);
  const ids = await fetchTopicIds(kafka, [ofSignals, ...topics.values()]);
  const found = [...topics].map(
    ([collection, topic]) => [collection, { topic, topicId: ids.get(topic), mapping: mappingOf(collection) }] as const,
  );
  return {
    mismatches: findMismatches(stored, { database, collections: new Map(found) }),
    signals: stored && signalsLoss(ofSignals, stored, await boundsOf(kafka, ofSignals, ids.get(ofSignals))),
  };
}

/** The error with which the producer stops if lost records may not be copied again; null where nothing is lost. */
export function refusalOf({ mismatches, signals }: Losses): HeadraceError | null {
  const lost = mismatches.filter(isLost);
  return lost.length > 0 ? topicsLost(lost, "fatal") : signals;
}

/** The signals topic of a pipeline; null if it does not exist. @throws HeadraceError */
export async function readSignals(kafka: Kafka, name: string): Promise<SignalsNow | null> {
  const topic = signalsTopic(name);
  return await boundsOf(kafka, topic, (await fetchTopicIds(kafka, [topic])).get(topic));
}

async function boundsOf(kafka: Kafka, topic: string, topicId: string | null | undefined): Promise<SignalsNow | null> {
  if (topicId === undefined) return null;
  try {
    const bounds = (await fetchLogBounds(kafka, [topic])).get(partitionKey({ topic, partition: 0 }));
    return { topicId, low: bounds?.low ?? 0n, high: bounds?.high ?? 0n };
  } catch (error) {
    // Deleted since it was asked for its id.
    if (errorCode(error) === "KAFKA_TOPIC_MISSING") return null;
    throw error;
  }
}
