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
/** The same while they are still to come: whoever starts both sides at once waits for this. */
const FIRST_TOPIC_POLL_MS = 250;

interface TopicSelection {
  /** Whether a topic of the cluster is one of the pipeline's. */
  readonly includes: (topic: string) => boolean;
  /** Which topics are known to come, for the log. */
  readonly expected: readonly string[];
}

export interface KafkaConsumerOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly topics: TopicSelection;
  readonly logger: Logger;
  /** Default 30,000. Longer than any pause in which this process cannot send heartbeats. */
  readonly sessionTimeoutMs?: number;
  /** Default a tenth of the session's timeout. */
  readonly heartbeatIntervalMs?: number;
  /** Default 60,000. */
  readonly rebalanceTimeoutMs?: number;
  /** Default 500. */
  readonly maxWaitMs?: number;
  /** Compressed, of a fetch from one broker. Default 1 MB: more is no faster, and a live change may be behind it. */
  readonly maxBytes?: number;
  /** Default 256 KB. */
  readonly maxBytesPerPartition?: number;
  /** Default 8 MB. */
  readonly readAheadBytes?: number;
  /** How often new topics are looked for. Default 5,000. */
  readonly topicPollMs?: number;
}

/**
 * Reads the pipeline's topics as a member of the consumer group, in one session after the other: a new one begins
 * when topics come or go, and when Kafka was away.
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

/** Ends when `signal` aborts, when the topics change, or when Kafka went away after the group had been joined. */
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
    options.logger.warn({ err }, "the consumer lost Kafka and joins again");
  } finally {
    ended.abort();
    await watching;
  }
}

/** Those that are known to come are waited for as long as more come: for each that came later, all would join again. */
async function waitForTopics(options: KafkaConsumerOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { kafka, topics, logger, topicPollMs = TOPIC_POLL_MS } = options;
  let before: readonly string[] = [];
  for (let polls = 0; ; polls++) {
    const found = await listTopics(kafka, topics.includes);
    const isComplete = topics.expected.every((topic) => found.includes(topic));
    if (found.length > 0 && (isComplete || found.length === before.length)) return found;
    if (polls === 0) logger.info({ topics: topics.expected }, "waiting for the producer to make the topics");
    before = found;
    await pause(Math.min(topicPollMs, FIRST_TOPIC_POLL_MS), signal);
  }
}

/** Resolves when there are other topics than before, or when `signal` aborts. kafkajs looks at them only once. */
function watchTopics(known: readonly string[], options: KafkaConsumerOptions, signal: AbortSignal): Promise<void> {
  const { kafka, topics, logger, topicPollMs = TOPIC_POLL_MS } = options;
  return untilAborted(signal, async () => {
    let found = known;
    while (found.join() === known.join()) {
      await pause(topicPollMs, signal);
      found = await retrying(() => listTopics(kafka, topics.includes), options, signal);
    }
    logger.info({ topics: found }, "the topics have changed, joining again");
  });
}

function retrying<T>(operation: () => Promise<T>, { logger }: KafkaConsumerOptions, signal: AbortSignal): Promise<T> {
  return retry(operation, {
    signal,
    onRetry: (err, attempt, delayMs) => logger.warn({ err, attempt, delayMs }, "Kafka is away, trying again"),
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
