import { HeadraceError } from "../../errors/error.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import { kafkajsMessages } from "./kafkajs-arrays.ts";
import type { KafkajsMessages, LogPart } from "./kafkajs-arrays.ts";
import { kafkajsRequest } from "./kafkajs-internals.ts";
import { ResponseReader } from "./primitives.ts";
import { isAbort, readBatch, readRecords } from "./record-batch.ts";
import type { FetchedRecord, RecordBatch } from "./record-batch.ts";

/** The part of a Fetch request that is needed to read the response. */
export interface FetchRequest {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string }[];
  }[];
}

/** A decoded response with the fields that kafkajs reads. */
export interface FetchResponse {
  /** 0: the broker has not delayed this response; `clientSideThrottleTime` (ms) is what the client has to wait. */
  readonly throttleTime: 0;
  readonly clientSideThrottleTime: number;
  readonly errorCode: number;
  readonly sessionId: number;
  /** Empty where the broker throttles the client. */
  readonly responses: { readonly topicName: string; readonly partitions: readonly PartitionResponse[] }[];
}

export interface PartitionResponse {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  /** Where the first open transaction begins, else the high watermark: read_committed readers come no further. */
  readonly lastStableOffset: string;
  readonly lastStartOffset: string;
  /** Their records are left out already. */
  readonly abortedTransactions: readonly never[];
  readonly preferredReadReplica: number;
  /** For kafkajs. */
  readonly messages: KafkajsMessages;
  /** The same for us. */
  readonly part: LogPart;
}

interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

interface RawPartition extends Omit<PartitionResponse, "abortedTransactions" | "messages" | "part"> {
  readonly aborted: readonly AbortedTransaction[];
  readonly batches: Buffer;
}

/**
 * Decodes the response to a Fetch request of version 11 (https://kafka.apache.org/protocol).
 * @throws HeadraceError KAFKA_RESPONSE_UNREADABLE, KAFKA_TOO_OLD
 */
export async function decodeFetchResponse({ topics }: FetchRequest, bytes: Buffer): Promise<FetchResponse> {
  const reader = new ResponseReader("Fetch", bytes);
  const clientSideThrottleTime = reader.int32();
  const errorCode = reader.int16();
  const sessionId = reader.int32();
  const raw = reader.array(() => ({
    topicName: reader.string(),
    partitions: reader.array(() => readPartition(reader)),
  }));
  const responses = raw.map(async ({ topicName, partitions }) => {
    const wanted = topics.find(({ topic }) => topic === topicName)?.partitions;
    const offsetOf = (partition: number) => wanted?.find((each) => each.partition === partition)?.fetchOffset ?? 0;
    const decoded = partitions.map((each) => decodePartition(topicName, each, BigInt(offsetOf(each.partition))));
    return { topicName, partitions: await Promise.all(decoded) };
  });
  return { throttleTime: 0, clientSideThrottleTime, errorCode, sessionId, responses: await Promise.all(responses) };
}

function readPartition(reader: ResponseReader): RawPartition {
  return {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: String(reader.int64()),
    lastStableOffset: String(reader.int64()),
    lastStartOffset: String(reader.int64()),
    aborted: reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() })),
    preferredReadReplica: reader.int32(),
    batches: reader.bytes(),
  };
}

async function decodePartition(
  topic: string,
  { aborted, batches, ...head }: RawPartition,
  fetchOffset: bigint,
): Promise<PartitionResponse> {
  const place = { topic, partition: head.partition };
  const part = await readPart(place, batches, fetchOffset, aborted).catch((error: unknown) => {
    throw error instanceof HeadraceError ? error : unreadable(`The records of ${topic}/${head.partition}`, error);
  });
  return { ...head, abortedTransactions: [], messages: kafkajsMessages(part), part };
}

/** @param fetchOffset its batch may begin with records before it */
async function readPart(
  place: TopicPartition,
  bytes: Buffer,
  fetchOffset: bigint,
  aborted: readonly AbortedTransaction[],
): Promise<LogPart> {
  const records: FetchedRecord[] = [];
  const transactions = new AbortedTransactions(aborted);
  let first: bigint | undefined;
  let last = fetchOffset;
  for (let batch = readBatch(bytes, 0); batch !== undefined; batch = readBatch(bytes, batch.end)) {
    const isAborted = transactions.include(batch);
    if (batch.lastOffset < fetchOffset) continue;
    first ??= batch.firstOffset > fetchOffset ? batch.firstOffset : fetchOffset;
    last = batch.lastOffset;
    if (!batch.isControl && !isAborted) await readRecords(place, batch, fetchOffset, records);
  }
  return { records, bounds: first === undefined ? null : { first, last } };
}

/** Says which batches belong to aborted transactions. Takes the batches in the order of the log. */
class AbortedTransactions {
  readonly #coming: AbortedTransaction[];
  readonly #producers = new Set<bigint>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#coming = transactions.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  }

  include(batch: RecordBatch): boolean {
    const { producerId, lastOffset } = batch;
    for (let [next] = this.#coming; next !== undefined && next.firstOffset <= lastOffset; [next] = this.#coming) {
      this.#producers.add(next.producerId);
      this.#coming.shift();
    }
    if (batch.isControl && isAbort(batch)) this.#producers.delete(producerId);
    return batch.isTransactional && this.#producers.has(producerId);
  }
}

function unreadable(what: string, cause?: unknown): HeadraceError {
  return new HeadraceError("KAFKA_RESPONSE_UNREADABLE", { message: `${what} cannot be decoded.` }, cause);
}

/** Every broker since Kafka 2.3 has it, and kafkajs has no later one. */
const VERSION = 11;

interface FetchExchange {
  readonly response: { readonly decode: (bytes: Buffer) => Promise<FetchResponse> };
}

/**
 * Makes all consumers of the process decode with `decodeFetchResponse`; their messages are `FetchedRecord`s then.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function replaceFetchDecoder(): void {
  const definition = kafkajsRequest<FetchRequest, FetchExchange>("Fetch");
  const { protocol } = definition;
  definition.protocol = (options) => {
    if (options.version !== VERSION) throw tooOld(`speaks version ${options.version} of Fetch, not ${VERSION}`);
    const define = protocol(options);
    return (request) => {
      const exchange = define(request);
      const decode = (bytes: Buffer) => decodeFetchResponse(request, bytes);
      return { ...exchange, response: { ...exchange.response, decode } };
    };
  };
}

function tooOld(what: string): HeadraceError {
  return new HeadraceError("KAFKA_TOO_OLD", { message: `The broker ${what}: it is older than Kafka 2.3.` });
}
