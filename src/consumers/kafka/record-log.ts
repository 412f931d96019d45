import type { Kafka } from "kafkajs";
import { errorKind } from "../../errors/error.ts";
import { listTopics } from "../../kafka/admin.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";
import { pause, untilAborted } from "../../runtime/waiting.ts";
import type { RecordLog, RecordLogCallbacks } from "../ports.ts";
import { GroupSession } from "./group-session.ts";
import type { GroupSessionOptions } from "./group-session.ts";

const TOPIC_POLL_MS = 5_000;
/** The same until the expected topics exist: at a first start the consumer waits for the producer to create them. */
const FIRST_TOPIC_POLL_MS = 250;

interface TopicSelection {
  /** Whether a topic of the cluster belongs to the pipeline. */
  readonly includes: (topic: string) => boolean;
  /** Topics that the producer will create if they are missing. */
  readonly expected: readonly string[];
}

export interface KafkaConsumerOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly topics: TopicSelection;
  readonly logger: Logger;
  /** Default 30,000. Must be longer than any pause in which this process cannot send heartbeats. */
  readonly sessionTimeoutMs?: number;
  /** Default: a tenth of the session timeout. */
  readonly heartbeatIntervalMs?: number;
  /** Default 60,000. */
  readonly rebalanceTimeoutMs?: number;
  /** Default 500. */
  readonly maxWaitMs?: number;
  /** Of one fetch from one broker, compressed. Default 1 MB: more is no faster, and delays the changes behind it. */
  readonly maxBytes?: number;
  /** Default 256 KB. */
  readonly maxBytesPerPartition?: number;
  /** Default 8 MB. */
  readonly readAheadBytes?: number;
  /** How often to look for new topics. Default 5,000. */
  readonly topicPollMs?: number;
}

/**
 * Reads the pipeline's topics as a member of the consumer group, in one session after the other. A new session begins
 * when topics are created or deleted, and when Kafka is available again after an outage.
 */
export function createKafkaRecordLog(options: KafkaConsumerOptions): RecordLog {
  return {
    run(callbacks, { signal }) {
      const session = async (): Promise<void> =>
        runSession(await waitForTopics(options, signal), callbacks, options, signal);
      return untilAborted(signal, async () => {
        while (!signal.aborted) await retrying(session, options, signal);
      });
    },
  };
}

/** Ends when `signal` aborts, when the topics change, or when Kafka becomes unavailable after the member has joined. */
async function runSession(
  topics: readonly string[],
  callbacks: RecordLogCallbacks,
  options: KafkaConsumerOptions,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const session = new GroupSession(sessionOptions(options), callbacks);
  const watching = watchTopics(topics, options, either).finally(() => ended.abort());
  try {
    await session.run(topics, either);
  } catch (err) {
    if (errorKind(err) !== "retryable" || !session.hasJoined) throw err;
    options.logger.warn({ err }, "Kafka is unavailable; the consumer joins its group again");
  } finally {
    ended.abort();
    await watching;
  }
}

/** Waits for the expected topics while new ones appear: each later one would make all members join again. */
async function waitForTopics(options: KafkaConsumerOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { kafka, topics, logger, topicPollMs = TOPIC_POLL_MS } = options;
  let before: readonly string[] = [];
  for (let polls = 0; ; polls++) {
    const found = await listTopics(kafka, topics.includes);
    const isComplete = topics.expected.every((topic) => found.includes(topic));
    if (found.length > 0 && (isComplete || found.length === before.length)) return found;
    if (polls === 0) logger.info({ topics: topics.expected }, "waiting for the producer to create the topics");
    before = found;
    await pause(Math.min(topicPollMs, FIRST_TOPIC_POLL_MS), signal);
  }
}

/** Resolves when topics were created or deleted, or when `signal` aborts. kafkajs itself looks for them only once. */
function watchTopics(known: readonly string[], options: KafkaConsumerOptions, signal: AbortSignal): Promise<void> {
  const { kafka, topics, logger, topicPollMs = TOPIC_POLL_MS } = options;
  return untilAborted(signal, async () => {
    let found = known;
    while (found.join() === known.join()) {
      await pause(topicPollMs, signal);
      found = await retrying(() => listTopics(kafka, topics.includes), options, signal);
    }
    logger.info({ topics: found }, "topics were created or deleted; the consumer joins its group again");
  });
}

function retrying<T>(operation: () => Promise<T>, { logger }: KafkaConsumerOptions, signal: AbortSignal): Promise<T> {
  return retry(operation, {
    signal,
    onRetry: (err, attempt, delayMs) => logger.warn({ err, attempt, delayMs }, "Kafka is unavailable; trying again"),
  });
}

function sessionOptions(options: KafkaConsumerOptions): GroupSessionOptions {
  const { sessionTimeoutMs = 30_000 } = options;
  return {
    kafka: options.kafka,
    groupId: options.groupId,
    logger: options.logger,
    sessionTimeoutMs,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? sessionTimeoutMs / 10,
    rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
    maxWaitMs: options.maxWaitMs ?? 500,
    maxBytes: options.maxBytes ?? 1024 * 1024,
    maxBytesPerPartition: options.maxBytesPerPartition ?? 256 * 1024,
    readAheadBytes: options.readAheadBytes ?? 8 * 1024 * 1024,
  };
}
