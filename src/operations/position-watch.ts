import { randomUUID } from "node:crypto";
import type { Consumer, Kafka } from "kafkajs";
import { HeadraceError } from "../errors/error.ts";
import { answered, kafkaError } from "../kafka/errors.ts";
import { retry } from "../runtime/retry.ts";
import type { Position } from "../schemas/change-event.ts";
import { decodePosition, POSITION_KEY } from "../schemas/position.ts";
import { consumerGroup, positionsTopic } from "../schemas/topics.ts";

/** The producer's committed position, followed as it moves. */
export interface PositionWatch {
  /** The newest one; null where none was ever committed. @throws HeadraceError */
  latest(): Promise<Position | null>;
  /**
   * The newest one that something stands behind; null where there is none. Kafka shows a transaction in one partition
   * earlier than in another, but begins the next one only when it shows all of it. So the topics' ends, asked for after
   * this, are behind all that was published up to the position. @throws HeadraceError
   */
  latestSettled(): Promise<Position | null>;
  close(): Promise<void>;
}

/** How long the broker waits for records when there are none. */
const WAIT_MS = 100;
/** Where to begin: a transaction has two to four offsets, and the last one has a position. */
const LAST_OFFSETS = 1_000n;
const LEADER_PATIENCE_MS = 5_000;

/**
 * Follows the positions topic, which must exist. kafkajs does not tell when a read_committed consumer has reached
 * the end, which may lie before the high watermark; but a fetch that took as long as the broker waits found nothing, and
 * what stands behind the end that the topic had at the call is newer than that. While the source is busy no fetch is empty.
 */
export function watchPosition(kafka: Kafka, name: string): Promise<PositionWatch> {
  // Of a topic that was made a moment ago the brokers may not know who leads it.
  return retry(() => openWatch(kafka, name), { maxElapsedMs: LEADER_PATIENCE_MS });
}

async function openWatch(kafka: Kafka, name: string): Promise<PositionWatch> {
  const topic = positionsTopic(name);
  const { from, end, leader } = await topicEnd(kafka, topic);
  const consumer = kafka.consumer({
    groupId: `${consumerGroup(name)}.status.${randomUUID()}`,
    maxWaitTimeInMs: WAIT_MS,
    allowAutoTopicCreation: false,
    retry: { retries: 5, restartOnFailure: () => Promise.resolve(false) },
  });
  let newest: Buffer | null = null;
  let settled: Buffer | null = null;
  let failure: { readonly error: unknown } | undefined;
  const caughtUp = Promise.withResolvers<void>();
  // latest() reports it.
  caughtUp.promise.catch(() => {});
  onIdle(consumer, leader, caughtUp.resolve);
  consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
    failure = { error };
    caughtUp.reject(error);
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { key, value, offset } }) => {
        settled = newest ?? settled;
        newest = key?.toString() === POSITION_KEY ? value : null;
        if (BigInt(offset) >= end) caughtUp.resolve();
      },
    });
    consumer.seek({ topic, partition: 0, offset: String(from) });
  } catch (error) {
    await consumer.disconnect();
    // A consumer that has crashed meanwhile refuses to seek, and hides the crash's cause.
    const cause = failure?.error ?? error;
    throw kafkaError(cause, "reading the producer's position");
  }
  const untilCaughtUp = async (): Promise<void> => {
    try {
      await caughtUp.promise;
      if (failure !== undefined) throw failure.error;
    } catch (error) {
      throw kafkaError(error, "reading the producer's position");
    }
  };
  return {
    async latest() {
      await untilCaughtUp();
      return decoded(newest ?? settled);
    },
    async latestSettled() {
      await untilCaughtUp();
      return decoded(settled);
    },
    close: () => consumer.disconnect(),
  };
}

function decoded(position: Buffer | null): Position | null {
  return position === null ? null : decodePosition(String(position));
}

/** kafkajs gives node ids as texts, unlike its types say. */
function onIdle(consumer: Consumer, leader: number, tell: () => void): void {
  const { FETCH_START, FETCH, START_BATCH_PROCESS } = consumer.events;
  let foundNothing = false;
  consumer.on(FETCH, ({ payload: { duration, nodeId } }) => {
    if (`${nodeId}` === String(leader)) foundNothing = duration >= WAIT_MS;
  });
  consumer.on(START_BATCH_PROCESS, () => (foundNothing = false));
  consumer.on(FETCH_START, ({ payload: { nodeId } }) => {
    if (`${nodeId}` === String(leader) && foundNothing) tell();
  });
}

async function topicEnd(kafka: Kafka, topic: string): Promise<{ from: bigint; end: bigint; leader: number }> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { topics } = await answered(admin.fetchTopicMetadata({ topics: [topic] }));
    const leader = topics[0]?.partitions[0]?.leader ?? -1;
    if (leader < 0) throw new HeadraceError("KAFKA_UNAVAILABLE", { message: `No broker leads the topic ${topic}.` });
    const [bounds] = await admin.fetchTopicOffsets(topic);
    const low = BigInt(bounds?.low ?? 0);
    const end = BigInt(bounds?.high ?? 0);
    const near = end - LAST_OFFSETS;
    return { from: near > low ? near : low, end, leader };
  } catch (error) {
    throw kafkaError(error, "reading the producer's position");
  } finally {
    await admin.disconnect();
  }
}
