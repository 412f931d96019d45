import kafkajs from "kafkajs";
import type { CompressionTypes, Message } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { BATCH_HEAD_BYTES, BATCH_LENGTH_FROM, BATCH_MAGIC, CODEC_MASK, IS_TRANSACTIONAL } from "./batch-format.ts";
import { crc32c } from "./crc32c.ts";
import { kafkajsRequest } from "./kafkajs-internals.ts";
import type { EncodedRequest } from "./kafkajs-internals.ts";
import { int16, int32, string } from "./primitives.ts";
import { RecordWriter } from "./record-writer.ts";

/** What kafkajs passes to the encoder of a Produce request. */
export interface ProduceRequest {
  readonly acks: number;
  /** ms */
  readonly timeout: number;
  readonly compression: CompressionTypes;
  readonly transactionalId?: string | undefined;
  /** -1 without idempotence. */
  readonly producerId: number | string;
  readonly producerEpoch: number;
  readonly topicData: readonly TopicData[];
}

interface TopicData {
  readonly topic: string;
  readonly partitions: readonly PartitionData[];
}

interface PartitionData {
  readonly partition: number;
  readonly firstSequence: number;
  readonly messages: readonly TimedMessage[];
}

/** A message of kafkajs, or one of ours, which gives its time as a number. */
type TimedMessage = Message & {
  /** ms since 1970; counts more than `timestamp`. */
  readonly timestampMs?: number;
};

/** The batch's checksum covers everything from here on. */
const CRC_FROM = 21;
/** Smaller batches are not compressed: see docs/performance.md. */
const LEAST_COMPRESSED_BYTES = 8 * 1024;

/** Its buffer is used again by the next request. */
let spareWriter: RecordWriter | undefined;

/** Encodes a Produce request of the versions 3 to 7, which are the same (https://kafka.apache.org/protocol). */
export async function encodeProduceRequest(request: ProduceRequest): Promise<EncodedRequest> {
  const { transactionalId, acks, timeout, topicData } = request;
  const writer = spareWriter ?? new RecordWriter();
  spareWriter = undefined;
  const parts = [string(transactionalId ?? null), int16(acks), int32(timeout), int32(topicData.length)];
  for (const { topic, partitions } of topicData) {
    parts.push(string(topic), int32(partitions.length));
    for (const data of partitions) parts.push(...(await encodePartition(request, data, writer)));
  }
  spareWriter = writer;
  const bytes = Buffer.concat(parts);
  return { buf: bytes, buffer: bytes };
}

async function encodePartition(
  request: ProduceRequest,
  { partition, firstSequence, messages }: PartitionData,
  writer: RecordWriter,
): Promise<Buffer[]> {
  const times = timesOf(messages);
  writer.reset();
  messages.forEach((message, index) => writer.write(message, index, (times.all[index] as number) - times.first));
  const compression = writer.records.length < LEAST_COMPRESSED_BYTES ? Compression.None : request.compression;
  const records = await compress(compression, writer.records);
  const head = Buffer.alloc(BATCH_HEAD_BYTES);
  head.writeInt32BE(BATCH_HEAD_BYTES - BATCH_LENGTH_FROM + records.length, 8);
  head.writeInt8(BATCH_MAGIC, 16);
  const isTransactional = request.transactionalId !== undefined;
  head.writeInt16BE((compression & CODEC_MASK) | (isTransactional ? IS_TRANSACTIONAL : 0), CRC_FROM);
  head.writeInt32BE(messages.length - 1, 23);
  head.writeBigInt64BE(BigInt(times.first), 27);
  head.writeBigInt64BE(BigInt(times.last), 35);
  head.writeBigInt64BE(BigInt(request.producerId), 43);
  head.writeInt16BE(request.producerEpoch, 51);
  head.writeInt32BE(firstSequence, 53);
  head.writeInt32BE(messages.length, 57);
  head.writeUInt32BE(crc32c(records, crc32c(head.subarray(CRC_FROM))), 17);
  return [int32(partition), int32(head.length + records.length), head, records];
}

/** In ms. A message without a time gets the current one. */
function timesOf(messages: readonly TimedMessage[]): { first: number; last: number; all: readonly number[] } {
  const now = Date.now();
  const all = messages.map(({ timestampMs, timestamp }) => timestampMs ?? Number(timestamp || now));
  let first = Infinity;
  let last = -Infinity;
  for (const time of all) {
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  return { first, last, all };
}

// Node finds only some of kafkajs's exports by name.
const { CompressionCodecs, CompressionTypes: Compression } = kafkajs;

/** @returns bytes that the writer does not overwrite */
async function compress(compression: CompressionTypes, buffer: Buffer): Promise<Buffer> {
  if (compression === Compression.None) return Buffer.from(buffer);
  return await (CompressionCodecs[compression] as () => Codec)().compress({ buffer });
}

interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
}

const FIRST_VERSION = 3;
const LAST_VERSION = 7;

interface ProduceExchange {
  readonly request: { readonly encode: () => Promise<EncodedRequest> };
}

/**
 * Makes all producers of the process encode with `encodeProduceRequest`.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function replaceProduceEncoder(): void {
  const definition = kafkajsRequest<ProduceRequest, ProduceExchange>("Produce");
  const { protocol } = definition;
  definition.protocol = (options) => {
    const { version } = options;
    if (version < FIRST_VERSION || version > LAST_VERSION) throw otherVersion(version);
    const define = protocol(options);
    return (request) => {
      const exchange = define(request);
      return { ...exchange, request: { ...exchange.request, encode: () => encodeProduceRequest(request) } };
    };
  };
}

function otherVersion(version: number): HeadraceError {
  return new HeadraceError("KAFKA_TOO_OLD", {
    message: `The broker speaks version ${version} of Produce: it is older than Kafka 0.11.`,
  });
}
