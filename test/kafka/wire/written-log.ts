// Logs of Kafka and responses with them, written with kafkajs's own encoder.
import { createRequire } from "node:module";
import kafkajs from "kafkajs";
import type { CompressionTypes, IHeaders } from "kafkajs";
import { HAS_ARRIVAL_TIME, IS_CONTROL } from "../../../src/kafka/wire/batch-format.ts";

const require = createRequire(import.meta.url);
const { CompressionTypes: Compression } = kafkajs;
const { RecordBatch } = require("kafkajs/src/protocol/recordBatch/v0/index.js") as {
  RecordBatch: (options: object) => Promise<{ readonly buffer: Buffer }>;
};
const Long = require("kafkajs/src/utils/long.js") as { fromValue(value: bigint | number): object };

/** A record as `batchBytes` takes it. */
export const Record = require("kafkajs/src/protocol/recordBatch/record/v0/index.js") as (options: object) => object;

export const TOPIC = "shop.orders";
export const PARTITION = 3;
export const FIRST_TIME = 1_700_000_000_000;
const ATTRIBUTES_AT = 21;

export interface WrittenRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
  readonly timestampDelta: number;
  /** Whether compaction has removed it. */
  readonly isGone: boolean;
}

/** What is written at once: records, or the end of a transaction. */
export type Step =
  | {
      readonly producer: number;
      readonly isTransactional: boolean;
      readonly compression: CompressionTypes;
      readonly hasArrivalTime: boolean;
      readonly records: readonly WrittenRecord[];
    }
  | { readonly producer: number; readonly end: "abort" | "commit" };

interface WrittenBatch {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly bytes: Buffer;
  readonly messages: readonly Comparable[];
  /** Of the transaction it belongs to. */
  outcome?: "abort" | "commit";
}

interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
}

export interface Comparable {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders | undefined;
}

/** A log that begins at `start` and whose transactions have all ended. */
export async function writeLog(
  written: readonly Step[],
  start: bigint,
): Promise<{ batches: readonly WrittenBatch[]; aborted: readonly AbortedTransaction[] }> {
  const batches: WrittenBatch[] = [];
  const aborted: AbortedTransaction[] = [];
  const open = new Map<number, WrittenBatch[]>();
  const ends = [1, 2, 3].map((each): Step => ({ producer: each, end: "commit" }));
  let next = start;
  for (const step of [...written, ...ends]) {
    if ("end" in step) {
      const ofTransaction = open.get(step.producer);
      if (ofTransaction === undefined) continue;
      open.delete(step.producer);
      for (const batch of ofTransaction) batch.outcome = step.end;
      const [first] = ofTransaction;
      if (step.end === "abort" && first !== undefined) {
        aborted.push({ producerId: BigInt(step.producer), firstOffset: first.firstOffset, lastOffset: next });
      }
      batches.push(await controlBatch(step, next));
      next += 1n;
    } else {
      const batch = await recordBatch(step, next);
      batches.push(batch);
      next = batch.lastOffset + 1n;
      if (step.isTransactional) open.set(step.producer, [...(open.get(step.producer) ?? []), batch]);
    }
  }
  return { batches, aborted };
}

async function recordBatch(step: Exclude<Step, { end: unknown }>, firstOffset: bigint): Promise<WrittenBatch> {
  const kept = step.records.flatMap((each, offsetDelta) => (each.isGone ? [] : [{ ...each, offsetDelta }]));
  const lastTime = FIRST_TIME + 77;
  const buffer = await batchBytes(step, firstOffset, step.records.length - 1, kept.map(Record));
  if (step.hasArrivalTime) setAttribute(buffer, HAS_ARRIVAL_TIME);
  const messages = kept.map(({ key, value, headers: all, timestampDelta, offsetDelta }) => {
    const timestamp = String(step.hasArrivalTime ? lastTime : FIRST_TIME + timestampDelta);
    return { offset: String(firstOffset + BigInt(offsetDelta)), timestamp, key, value, headers: all };
  });
  return { firstOffset, lastOffset: firstOffset + BigInt(step.records.length - 1), bytes: buffer, messages };
}

async function controlBatch(step: Extract<Step, { end: unknown }>, firstOffset: bigint): Promise<WrittenBatch> {
  const key = Buffer.from([0, 0, 0, step.end === "abort" ? 0 : 1]);
  const marker = Record({ offsetDelta: 0, timestampDelta: 0, key, value: Buffer.alloc(6), headers: {} });
  const options = { producer: step.producer, isTransactional: true, compression: Compression.None };
  const buffer = await batchBytes(options, firstOffset, 0, [marker]);
  setAttribute(buffer, IS_CONTROL);
  return { firstOffset, lastOffset: firstOffset, bytes: buffer, messages: [] };
}

export async function batchBytes(
  options: { producer: number; isTransactional: boolean; compression: CompressionTypes },
  firstOffset: bigint,
  lastOffsetDelta: number,
  records: readonly object[],
): Promise<Buffer> {
  const { buffer } = await RecordBatch({
    compression: options.compression,
    firstOffset: Long.fromValue(firstOffset),
    firstTimestamp: FIRST_TIME,
    maxTimestamp: FIRST_TIME + 77,
    lastOffsetDelta,
    transactional: options.isTransactional,
    producerId: Long.fromValue(options.producer),
    records,
  });
  return Buffer.from(buffer);
}

export function setAttribute(batch: Buffer, attribute: number): void {
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) | attribute, ATTRIBUTES_AT);
}

/** The response to a Fetch of version 11 for the one partition. */
export function responseBytes(records: Buffer, aborted: readonly AbortedTransaction[]): Buffer {
  return Buffer.concat([
    int(4, 0),
    int(2, 0),
    int(4, 0),
    int(4, 1),
    int(2, TOPIC.length),
    Buffer.from(TOPIC),
    int(4, 1),
    int(4, PARTITION),
    int(2, 0),
    int(8, 1_000_000),
    int(8, 900_000),
    int(8, 17),
    int(4, aborted.length === 0 ? -1 : aborted.length),
    ...aborted.flatMap(({ producerId, firstOffset }) => [int(8, producerId), int(8, firstOffset)]),
    int(4, -1),
    int(4, records.length),
    records,
  ]);
}

function int(size: 2 | 4 | 8, value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer.subarray(8 - size);
}
