import kafkajs from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { AvroReader } from "../../schemas/formats/avro-reader.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import {
  BATCH_HEAD_BYTES,
  BATCH_LENGTH_FROM,
  BATCH_MAGIC,
  CODEC_MASK,
  HAS_ARRIVAL_TIME,
  IS_CONTROL,
  IS_TRANSACTIONAL,
} from "./batch-format.ts";

/** A record batch (https://kafka.apache.org/documentation/#recordbatch) whose records are not read yet. */
export interface RecordBatch {
  readonly firstOffset: bigint;
  /** Compaction removes records, but changes neither the first nor the last offset of their batch. */
  readonly lastOffset: bigint;
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** Its only record says how a transaction ended. */
  readonly isControl: boolean;
  readonly codec: number;
  /** ms */
  readonly firstTime: number;
  /** ms, the same for all records: in topics with `message.timestamp.type=LogAppendTime`. */
  readonly arrivalTime: number | undefined;
  readonly count: number;
  /** Compressed with `codec`. */
  readonly records: Buffer;
  /** Where the next batch begins. */
  readonly end: number;
}

/**
 * @returns undefined where the bytes end within the batch: the broker cuts the last batch off when a response is full
 * @throws HeadraceError KAFKA_TOO_OLD for the format from before Kafka 0.11
 */
export function readBatch(bytes: Buffer, start: number): RecordBatch | undefined {
  if (start + BATCH_HEAD_BYTES > bytes.length) return undefined;
  if (bytes[start + 16] !== BATCH_MAGIC) throw oldFormat(bytes[start + 16]);
  const end = start + BATCH_LENGTH_FROM + bytes.readInt32BE(start + 8);
  if (end > bytes.length) return undefined;
  const firstOffset = bytes.readBigInt64BE(start);
  const attributes = bytes.readInt16BE(start + 21);
  return {
    firstOffset,
    lastOffset: firstOffset + BigInt(bytes.readInt32BE(start + 23)),
    producerId: bytes.readBigInt64BE(start + 43),
    isTransactional: (attributes & IS_TRANSACTIONAL) !== 0,
    isControl: (attributes & IS_CONTROL) !== 0,
    codec: attributes & CODEC_MASK,
    firstTime: Number(bytes.readBigInt64BE(start + 27)),
    arrivalTime: (attributes & HAS_ARRIVAL_TIME) === 0 ? undefined : Number(bytes.readBigInt64BE(start + 35)),
    count: bytes.readInt32BE(start + 57),
    records: bytes.subarray(start + BATCH_HEAD_BYTES, end),
    end,
  };
}

function oldFormat(magic: number | undefined): HeadraceError {
  return new HeadraceError("KAFKA_TOO_OLD", {
    message: `A topic holds records in the format ${magic} from before Kafka 0.11.`,
  });
}

/** A record as Kafka stores it. Its bytes are a view of the whole response, which stays in memory as long as they do. */
export interface FetchedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Of a name with several values the last one; undefined: a header without a value. */
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  readonly timestampMs: number;
}

/** Appends the batch's records from the offset `from` on to `records`. @throws HeadraceError KAFKA_RESPONSE_UNREADABLE; TypeError */
export async function readRecords(
  { topic, partition }: TopicPartition,
  batch: RecordBatch,
  from: bigint,
  records: FetchedRecord[],
): Promise<void> {
  const { firstOffset, firstTime, arrivalTime, count } = batch;
  const bytes = await decompress(batch);
  // Kafka's varints are Avro's longs.
  const reader = new AvroReader();
  reader.begin(bytes, 0);
  for (let index = 0; index < count; index++) {
    const end = reader.readLength() + reader.position;
    reader.skip(1);
    reader.readLong();
    const timestampMs = arrivalTime ?? firstTime + reader.number;
    reader.readLong();
    const offset = firstOffset + BigInt(reader.number);
    if (offset < from) {
      reader.skip(end - reader.position);
      continue;
    }
    const key = readBytes(reader);
    const value = readBytes(reader);
    records.push({ topic, partition, offset, key, value, headers: readHeaders(reader), timestampMs });
  }
  reader.end();
}

/** Whether a control batch ends its transaction with an abort. */
export function isAbort({ records }: RecordBatch): boolean {
  const reader = new AvroReader();
  reader.begin(records, 0);
  reader.readLength();
  reader.skip(1);
  reader.readLong();
  reader.readLong();
  const key = readBytes(reader);
  return key?.readInt16BE(2) === 0;
}

/** Null where the length is below 0. */
function readBytes(reader: AvroReader): Buffer | null {
  reader.readLong();
  const length = reader.number;
  if (length < 0) return null;
  const start = reader.position;
  reader.skip(length);
  return reader.bytes.subarray(start, reader.position);
}

const NO_HEADERS: FetchedRecord["headers"] = {};

function readHeaders(reader: AvroReader): FetchedRecord["headers"] {
  const count = reader.readLength();
  if (count === 0) return NO_HEADERS;
  // A name may be `__proto__`.
  const values = new Map<string, Buffer | undefined>();
  for (let index = 0; index < count; index++) values.set(String(readBytes(reader)), readBytes(reader) ?? undefined);
  return Object.fromEntries(values);
}

// Node finds only some of kafkajs's exports by name.
const { CompressionCodecs } = kafkajs;

interface Codec {
  decompress(buffer: Buffer): Promise<Buffer>;
}

async function decompress({ codec, records }: RecordBatch): Promise<Buffer> {
  if (codec === 0 || records.length === 0) return records;
  const found = CompressionCodecs[codec as keyof typeof CompressionCodecs] as (() => Codec) | undefined;
  if (found === undefined) throw unknownCodec(codec);
  return await found().decompress(records);
}

function unknownCodec(codec: number): HeadraceError {
  return new HeadraceError("KAFKA_RESPONSE_UNREADABLE", {
    message: `A topic holds records with the unknown compression ${codec}.`,
  });
}
