import type { Kafka } from "kafkajs";
import { errorKind } from "../../errors/error.ts";
import { waitForSameConfig } from "../../kafka/group-config.ts";
import type { MemberConfig } from "../../kafka/group-config.ts";
import { describeTopics } from "../../kafka/topics.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";
import { pause, untilAborted } from "../../runtime/waiting.ts";
import type { RecordLog, RecordLogCallbacks } from "../ports.ts";
import { GroupSession } from "./group-session.ts";
import type { GroupSessionOptions } from "./group-session.ts";

const TOPIC_POLL_MS = 5_000;
/** The same until the expected topics exist: at a first start the consumer waits for the producer to create them. */
const FIRST_TOPIC_POLL_MS = 250;

/** A heartbeat costs next to nothing, and until it comes a new member of the group waits for its share. */
const LONGEST_HEARTBEAT_MS = 1_000;

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
  /** Asks before each session: at the start some topics may not have existed. @throws HeadraceError KAFKA_FORBIDDEN */
  readonly requireRights: (topics: readonly string[]) => Promise<void>;
  readonly config: MemberConfig;
  readonly logger: Logger;
  /** Default 30,000. Must be longer than any pause in which this process cannot send heartbeats. */
  readonly sessionTimeoutMs?: number;
  /** Default: a second, or a tenth of the session timeout if that is shorter. A member learns by it that another one has come. */
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
      const session = async (): Promise<void> => {
        const topics = await waitForTopics(options, callbacks, signal);
        await options.requireRights([...topics.keys()]);
        await waitForSameConfig(sessionOptions(options), signal);
        await runSession(topics, callbacks, options, signal);
      };
      return untilAborted(signal, async () => {
        while (!signal.aborted) await retrying(session, options, signal);
      });
    },
  };
}

/** Ends when `signal` aborts, when the topics change, or when Kafka becomes unavailable after the member has joined. */
async function runSession(
  topics: FoundTopics,
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

type FoundTopics = ReadonlyMap<string, string | null>;

/** Waits for the expected topics while new ones appear: each later one would make all members join again. */
async function waitForTopics(
  options: KafkaConsumerOptions,
  { topicsFound }: Pick<RecordLogCallbacks, "topicsFound">,
  signal: AbortSignal,
): Promise<FoundTopics> {
  const { topics, logger, topicPollMs = TOPIC_POLL_MS } = options;
  let before: FoundTopics | null = null;
  for (let polls = 0; ; polls++) {
    const found = await findTopics(options);
    // Also without any: an owner or a source that is not ours would never show.
    if (before === null || !isSame(found, before)) await topicsFound(found, signal);
    const isComplete = topics.expected.every((topic) => found.has(topic));
    if (found.size > 0 && (isComplete || found.size === before?.size)) return found;
    if (polls === 0) logger.info({ topics: topics.expected }, "waiting for the producer to create the topics");
    before = found;
    await pause(Math.min(topicPollMs, FIRST_TOPIC_POLL_MS), signal);
  }
}

/** Resolves when topics were created or deleted, or when `signal` aborts. kafkajs itself looks for them only once. */
function watchTopics(known: FoundTopics, options: KafkaConsumerOptions, signal: AbortSignal): Promise<void> {
  const { logger, topicPollMs = TOPIC_POLL_MS } = options;
  return untilAborted(signal, async () => {
    let found = known;
    while (isSame(found, known)) {
      await pause(topicPollMs, signal);
      found = await retrying(() => findTopics(options), options, signal);
    }
    logger.info({ topics: [...found.keys()] }, "topics were created or deleted; the consumer joins its group again");
  });
}

/** The pipeline's topics, in order, with Kafka's ids: a topic that is created again gets another one. */
async function findTopics({ kafka, topics }: KafkaConsumerOptions): Promise<FoundTopics> {
  const found = [...(await describeTopics(kafka, null))].filter(([topic]) => topics.includes(topic));
  return new Map(found.map(([topic, { id }]) => [topic, id] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isSame(a: FoundTopics, b: FoundTopics): boolean {
  return a.size === b.size && [...a].every(([topic, id]) => b.has(topic) && b.get(topic) === id);
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
    config: options.config,
    logger: options.logger,
    sessionTimeoutMs,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? Math.min(sessionTimeoutMs / 10, LONGEST_HEARTBEAT_MS),
    rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
    maxWaitMs: options.maxWaitMs ?? 500,
    maxBytes: options.maxBytes ?? 1024 * 1024,
    maxBytesPerPartition: options.maxBytesPerPartition ?? 256 * 1024,
    readAheadBytes: options.readAheadBytes ?? 8 * 1024 * 1024,
  };
}
