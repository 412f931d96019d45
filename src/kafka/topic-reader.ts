import type { Kafka } from "kafkajs";
import { retry } from "../runtime/retry.ts";
import { unlessAborted } from "../runtime/waiting.ts";
import type { TopicPartition } from "../schemas/partitions.ts";
import { kafkaError } from "./errors.ts";
import { fetchLogBounds, listTopics } from "./topics.ts";
import type { FetchResponse, PartitionResponse } from "./wire/fetch-response.ts";
import { abandonRequests, kafkajsCluster } from "./wire/kafkajs-internals.ts";
import type { KafkajsCluster } from "./wire/kafkajs-internals.ts";
import type { FetchedRecord } from "./wire/record-batch.ts";

/** What one response held of a partition. */
export interface FetchedPart {
  /** The committed records, in the order of the log. */
  readonly records: readonly FetchedRecord[];
  /** Everything before it has been read: records, control records, aborted transactions and what compaction left. */
  readonly nextOffset: bigint;
  /**
   * The last stable offset: where the first open transaction begins, else where the log ends. There is nothing more to
   * read for now when `nextOffset` has reached it.
   */
  readonly stableEnd: bigint;
  /** The first offset that the log still has. */
  readonly logStart: bigint;
}

export interface FollowOptions extends TopicPartition {
  /** The first offset to read. Where the log no longer has it, reading begins at the log's start. */
  readonly from: bigint;
  /** Ends the reading at once. */
  readonly signal: AbortSignal;
  /** What the caller is doing, for error messages: `reading the signals`. */
  readonly doing: string;
  /** Whether the reader can wait for an empty part: then one comes only every 5 s, not four a second. Default: never. */
  readonly isPatient?: () => boolean;
}

/** How long a broker waits for new records before it answers without any. */
const WAIT_MS = 250;
/** The same for patient readers: each answer costs both sides some CPU. */
const PATIENT_WAIT_MS = 5_000;
/** Of compressed records in one response. A single larger batch is returned all the same. */
const MAX_BYTES = 1024 * 1024;
/** How long a failing request is repeated, as while another broker becomes the leader. */
const PATIENCE_MS = 30_000;
const MAX_RETRY_DELAY_MS = 2_000;

/**
 * Reads one partition as a read_committed reader, and waits for more at its end. It is no member of a consumer group, so
 * it needs no rights on groups, waits for no rebalance and leaves no group behind (docs/adr/0007). Every response is
 * one part, also an empty one: one for each wait while nothing is written. The next request is sent when the caller wants
 * the next part. Connections are closed when the caller leaves the loop.
 * @param kafka made by `newKafka` or `createKafka`, whose Fetch decoder it needs
 * @throws the signal's reason; HeadraceError: a retryable one after 30 s of retries
 */
export async function* followPartition(kafka: Kafka, options: FollowOptions): AsyncGenerator<FetchedPart, never> {
  const { signal } = options;
  const fetcher = new PartitionFetcher(kafka, options);
  const patience = { signal, maxElapsedMs: PATIENCE_MS, maxDelayMs: MAX_RETRY_DELAY_MS };
  let next = options.from;
  try {
    for (;;) {
      // An abort does not wait for a request: kafkajs may just be connecting, or about to send it.
      const fetching = retry(() => fetcher.fetch(next), patience);
      const part = await unlessAborted(fetching, signal);
      signal.throwIfAborted();
      next = part.nextOffset;
      yield part;
    }
  } finally {
    if (signal.aborted) fetcher.abandon();
    else await fetcher.close();
  }
}

export interface ScanOptions extends Pick<FollowOptions, "signal" | "doing"> {
  readonly topic: string;
  /** The first offset to visit in each partition. Default: the start of its log. */
  readonly from?: bigint | undefined;
  /** The offset after the last one to visit. Default, and at most: the end at the call. */
  readonly to?: bigint | undefined;
}

/**
 * Visits every committed record of a topic, one after the other, partition by partition, up to the ends (last stable
 * offsets) that the partitions have at the call. A topic that does not exist has no records.
 * @param visit the next record waits for it
 * @throws what `visit` throws; the signal's reason; HeadraceError
 */
export async function scanTopic(
  kafka: Kafka,
  { topic, from = 0n, to, signal, doing }: ScanOptions,
  visit: (record: FetchedRecord) => Promise<void> | void,
): Promise<void> {
  if ((await listTopics(kafka, (each) => each === topic)).length === 0) return;
  for (const { partition, low, high } of (await fetchLogBounds(kafka, [topic])).values()) {
    const start = from > low ? from : low;
    const end = to !== undefined && to < high ? to : high;
    if (start >= end) continue;
    for await (const part of followPartition(kafka, { topic, partition, from: start, signal, doing })) {
      for (const record of part.records) {
        if (record.offset >= end) break;
        await visit(record);
        signal.throwIfAborted();
      }
      if (part.nextOffset >= end) break;
    }
  }
}

/** Fetches from a partition's leader, with a new connection after each failure: the leader may be another broker then. */
class PartitionFetcher {
  readonly #kafka: Kafka;
  readonly #partition: TopicPartition;
  readonly #doing: string;
  readonly #isPatient: () => boolean;
  #cluster: KafkajsCluster<FetchResponse> | undefined;
  #isAbandoned = false;

  constructor(kafka: Kafka, { topic, partition, doing, isPatient = () => false }: FollowOptions) {
    this.#kafka = kafka;
    this.#partition = { topic, partition };
    this.#doing = doing;
    this.#isPatient = isPatient;
  }

  /** @throws HeadraceError */
  async fetch(offset: bigint): Promise<FetchedPart> {
    const { topic } = this.#partition;
    const isNew = this.#cluster === undefined;
    const cluster = (this.#cluster ??= kafkajsCluster<FetchResponse>(this.#kafka));
    try {
      if (isNew) {
        await cluster.connect();
        await cluster.addTargetTopic(topic);
      }
      return await this.#fetchFrom(cluster, offset);
    } catch (error) {
      if (this.#cluster === cluster) this.#cluster = undefined;
      // Also after an abort: kafkajs may have connected again since.
      await cluster.disconnect();
      throw kafkaError(error, `${this.#doing} in the topic ${topic}`);
    }
  }

  /** Ends the request on its way, if there is one, and closes the connections in the background. */
  abandon(): void {
    this.#isAbandoned = true;
    if (this.#cluster !== undefined) abandonRequests(this.#cluster);
    void this.close();
  }

  async close(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.disconnect();
  }

  async #fetchFrom(cluster: KafkajsCluster<FetchResponse>, offset: bigint): Promise<FetchedPart> {
    const { topic, partition } = this.#partition;
    const metadata = cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition);
    const broker = await cluster.findBroker({ nodeId: metadata?.leader ?? NO_LEADER });
    // kafkajs would connect again.
    if (this.#isAbandoned) throw new Error("the reader has ended");
    try {
      const { responses } = await broker.fetch({
        maxWaitTime: this.#isPatient() ? PATIENT_WAIT_MS : WAIT_MS,
        minBytes: 1,
        maxBytes: MAX_BYTES,
        topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: MAX_BYTES }] }],
      });
      const response = responses[0]?.partitions[0];
      // The broker throttles this client; kafkajs delays the next request.
      if (response === undefined) return await this.#fetchFrom(cluster, offset);
      return fetchedPart(response, offset);
    } catch (error) {
      if ((error as { type?: unknown }).type !== "OFFSET_OUT_OF_RANGE") throw error;
      return await this.#fetchFrom(cluster, await this.#logStart(cluster));
    }
  }

  async #logStart(cluster: KafkajsCluster<FetchResponse>): Promise<bigint> {
    const { topic, partition } = this.#partition;
    const [found] = await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromBeginning: true }]);
    return BigInt(found?.partitions[0]?.offset ?? 0);
  }
}

/** Kafka's id for no broker; kafkajs finds none of it, which is a retryable error. */
const NO_LEADER = -1;

function fetchedPart({ part, lastStableOffset, lastStartOffset }: PartitionResponse, offset: bigint): FetchedPart {
  const { records, bounds } = part;
  return {
    records,
    nextOffset: bounds === null ? offset : bounds.last + 1n,
    stableEnd: BigInt(lastStableOffset),
    logStart: BigInt(lastStartOffset),
  };
}
