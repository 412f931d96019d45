import kafkajs from "kafkajs";
import type { CompressionTypes, Message } from "kafkajs";
import { BATCH_HEAD_BYTES, BATCH_LENGTH_FROM, BATCH_MAGIC, CODEC_MASK, IS_TRANSACTIONAL } from "./batch-format.ts";
import { crc32c } from "./crc32c.ts";
import { RecordWriter } from "./record-writer.ts";
import { kafkajsRequest } from "./request-table.ts";

/** What kafkajs hands to the encoder of a Produce request. */
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
  readonly messages: readonly Message[];
}

/** What kafkajs wants of an encoded request: a part of its own Encoder. */
interface EncodedRequest {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** Where the batch's checksum begins to count. */
const CRC_FROM = 21;
/**
 * Less is sent as it is: for each piece zstd sets up a megabyte of tables, which under 200 transactions a second kept the
 * garbage collector busy for a seventh of the time.
 */
const LEAST_COMPRESSED_BYTES = 8 * 1024;

/** Kept for the next request. */
let spareWriter: RecordWriter | undefined;

/** A Produce request of the versions 3 to 7, which have the same format (https://kafka.apache.org/protocol). */
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

/** In ms; that of a message without one is now. */
function timesOf(messages: readonly Message[]): { first: number; last: number; all: readonly number[] } {
  const now = Date.now();
  const all = messages.map(({ timestamp }) => Number(timestamp || now));
  let first = Infinity;
  let last = -Infinity;
  for (const time of all) {
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  return { first, last, all };
}

// kafkajs has some of its exports only where Node does not see them by name.
const { CompressionCodecs, CompressionTypes: Compression } = kafkajs;

/** @returns bytes of their own */
async function compress(compression: CompressionTypes, buffer: Buffer): Promise<Buffer> {
  if (compression === Compression.None) return Buffer.from(buffer);
  return await (CompressionCodecs[compression] as () => Codec)().compress({ buffer });
}

interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function string(text: string | null): Buffer {
  if (text === null) return int16(-1);
  const bytes = Buffer.from(text);
  return Buffer.concat([int16(bytes.length), bytes]);
}

const FIRST_VERSION = 3;
const LAST_VERSION = 7;

interface ProduceExchange {
  readonly request: { readonly encode: () => Promise<EncodedRequest> };
}

/**
 * Has all of kafkajs's producers in the process use our encoder: a record of 600 bytes takes 3 µs of CPU time, most of
 * them for zstd, and with kafkajs's own 8.
 * @throws Error where kafkajs is not the version whose inside is known
 */
export function replaceProduceEncoder(): void {
  const definition = kafkajsRequest<ProduceRequest, ProduceExchange>("Produce");
  const { protocol } = definition;
  definition.protocol = (options) => {
    const define = protocol(options);
    if (options.version < FIRST_VERSION || options.version > LAST_VERSION) return define;
    return (request) => {
      const exchange = define(request);
      return { ...exchange, request: { ...exchange.request, encode: () => encodeProduceRequest(request) } };
    };
  };
}

/**
 * kafkajs (2.2.4) groups by partition in a `reduce` that copies a partition's messages for each of them: 5 µs a record
 * where there are 2,000. This array answers with what comes out of it.
 */
export function groupedByPartition(messages: Message[]): Message[] {
  const ofPartitions = Object.fromEntries(Map.groupBy(messages, ({ partition = 0 }) => partition));
  return Object.assign(messages, { reduce: () => ofPartitions });
}
