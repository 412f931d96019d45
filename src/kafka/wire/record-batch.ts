import kafkajs from "kafkajs";
import { AvroReader } from "../../schemas/formats/avro-reader.ts";
import {
  BATCH_HEAD_BYTES,
  BATCH_LENGTH_FROM,
  BATCH_MAGIC,
  CODEC_MASK,
  HAS_ARRIVAL_TIME,
  IS_CONTROL,
  IS_TRANSACTIONAL,
} from "./batch-format.ts";

/** A record batch (https://kafka.apache.org/documentation/#recordbatch), its records not read yet. */
export interface RecordBatch {
  readonly firstOffset: bigint;
  /** Compaction leaves the batch's own bounds as they were, whatever it takes out. */
  readonly lastOffset: bigint;
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** Its one record says how a transaction ended. */
  readonly isControl: boolean;
  readonly codec: number;
  /** ms */
  readonly firstTime: number;
  /** ms, of all records, where the topic has the times of their arrival. */
  readonly arrivalTime: number | undefined;
  readonly count: number;
  /** Compressed by `codec`. */
  readonly records: Buffer;
  /** Where the next batch begins. */
  readonly end: number;
}

/**
 * @returns undefined where the bytes end within the batch: the broker cuts the last one off where a fetch is full
 * @throws Error for batches as they were before Kafka 0.11
 */
export function readBatch(bytes: Buffer, start: number): RecordBatch | undefined {
  if (start + BATCH_HEAD_BYTES > bytes.length) return undefined;
  if (bytes[start + 16] !== BATCH_MAGIC) throw new Error("There are records as Kafka before 0.11 kept them.");
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

/** A name that stands there several times has all its values. */
export type Headers = Readonly<Record<string, Buffer | Buffer[]>>;

/** A record as kafkajs has it. What kafkajs keeps as text is made when it is asked for. */
export class FetchedMessage {
  readonly attributes = 0;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  /** `offset` as a number. */
  readonly position: bigint;
  readonly timestampMs: number;

  constructor(fields: Pick<FetchedMessage, "key" | "value" | "headers" | "position" | "timestampMs">) {
    this.key = fields.key;
    this.value = fields.value;
    this.headers = fields.headers;
    this.position = fields.position;
    this.timestampMs = fields.timestampMs;
  }

  get offset(): string {
    return String(this.position);
  }

  get timestamp(): string {
    return String(this.timestampMs);
  }
}

/** Pushes the batch's records from the offset `from` on to `messages`. */
export async function readRecords(batch: RecordBatch, from: bigint, messages: FetchedMessage[]): Promise<void> {
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
    const position = firstOffset + BigInt(reader.number);
    if (position < from) {
      reader.skip(end - reader.position);
      continue;
    }
    const key = readBytes(reader);
    const value = readBytes(reader);
    messages.push(new FetchedMessage({ key, value, headers: readHeaders(reader), position, timestampMs }));
  }
  reader.end();
}

/** What a control batch says: whether its producer's transaction was aborted. */
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

const NO_HEADERS: Headers = {};

function readHeaders(reader: AvroReader): Headers {
  const count = reader.readLength();
  if (count === 0) return NO_HEADERS;
  const values = new Map<string, Buffer[]>();
  for (let index = 0; index < count; index++) {
    const name = String(readBytes(reader));
    const value = readBytes(reader) as Buffer;
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return Object.fromEntries(Array.from(values, ([name, all]) => [name, all.length === 1 ? (all[0] as Buffer) : all]));
}

// kafkajs has some of its exports only where Node does not see them by name.
const { CompressionCodecs } = kafkajs;

interface Codec {
  decompress(buffer: Buffer): Promise<Buffer>;
}

async function decompress({ codec, records }: RecordBatch): Promise<Buffer> {
  if (codec === 0 || records.length === 0) return records;
  const found = CompressionCodecs[codec as keyof typeof CompressionCodecs] as (() => Codec) | undefined;
  if (found === undefined) throw new Error(`There are records of a compression that there is not: ${codec}.`);
  return await found().decompress(records);
}
