import { createRequire } from "node:module";
import * as fc from "fast-check";
import kafkajs from "kafkajs";
import type { CompressionTypes, IHeaders, KafkaMessage } from "kafkajs";
import { expect, test } from "vitest";
import { HAS_ARRIVAL_TIME, IS_CONTROL } from "../../../src/kafka/wire/batch-format.ts";
import { decodeFetchResponse } from "../../../src/kafka/wire/fetch-response.ts";
import type { FetchResponse, PartitionResponse } from "../../../src/kafka/wire/fetch-response.ts";
// kafkajs's own encoder writes the records; what was written says what is right, and kafkajs's decoder agrees.
import { registerZstd } from "../../../src/kafka/wire/zstd.ts";

registerZstd();

const require = createRequire(import.meta.url);
const { CompressionTypes: Compression } = kafkajs;
const { RecordBatch } = require("kafkajs/src/protocol/recordBatch/v0/index.js") as {
  RecordBatch: (options: object) => Promise<{ readonly buffer: Buffer }>;
};
const Record = require("kafkajs/src/protocol/recordBatch/record/v0/index.js") as (options: object) => object;
const Long = require("kafkajs/src/utils/long.js") as { fromValue(value: bigint | number): object };
const kafkajsResponse = require("kafkajs/src/protocol/requests/fetch/v11/response.js") as {
  decode(bytes: Buffer): Promise<FetchResponse>;
};
const Batch = require("kafkajs/src/consumer/batch.js") as new (
  topic: string,
  fetchedOffset: string,
  partition: PartitionResponse,
) => KafkajsBatch;

interface KafkajsBatch {
  readonly messages: readonly KafkaMessage[];
  firstOffset(): string | null;
  lastOffset(): string;
  isEmptyDueToFiltering(): boolean;
}

const TOPIC = "shop.orders";
const PARTITION = 3;
const FIRST_TIME = 1_700_000_000_000;
const ATTRIBUTES_AT = 21;
const MAX_DELTA_MS = 2 ** 40;

interface WrittenRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
  readonly timestampDelta: number;
  /** Whether compaction has taken it out. */
  readonly isGone: boolean;
}

/** What stands in the log at once: records, or the end of a transaction. */
type Step =
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

interface Comparable {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders | undefined;
}

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
// kafkajs takes names of Object.prototype for headers that stood there before.
const headerName = fc.string({ unit: "binary", maxLength: 8 }).map((name) => `-${name}`);
const headers = fc.dictionary(headerName, bytes, { maxKeys: 2, noNullPrototype: true });
const record: fc.Arbitrary<WrittenRecord> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers,
  timestampDelta: fc.oneof(fc.nat({ max: 1_000 }), fc.integer({ min: -MAX_DELTA_MS, max: MAX_DELTA_MS })),
  isGone: fc.integer({ min: 0, max: 4 }).map((number) => number === 0),
});
const producer = fc.integer({ min: 1, max: 3 });
const someRecords = fc.record({
  producer,
  isTransactional: fc.boolean(),
  compression: fc.constantFrom(Compression.None, Compression.GZIP, Compression.ZSTD),
  hasArrivalTime: fc.boolean(),
  records: fc.array(record, { minLength: 1, maxLength: 6 }),
});
const end = fc.record({ producer, end: fc.constantFrom("abort" as const, "commit" as const) });
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(someRecords, end), { minLength: 1, maxLength: 12 });

/** A log that begins at `start` and whose transactions have all ended. */
async function writeLog(
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

async function batchBytes(
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

function setAttribute(batch: Buffer, attribute: number): void {
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) | attribute, ATTRIBUTES_AT);
}

/** Of version 11. */
function responseBytes(records: Buffer, aborted: readonly AbortedTransaction[]): Buffer {
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

async function decodeBatch(bytesOfResponse: Buffer, fetchOffset: bigint): Promise<KafkajsBatch> {
  const partitions = [{ partition: PARTITION, fetchOffset: String(fetchOffset) }];
  const response = await decodeFetchResponse({ topics: [{ topic: TOPIC, partitions }] }, bytesOfResponse);
  return kafkajsBatch(response, fetchOffset);
}

function kafkajsBatch(response: FetchResponse, fetchOffset: bigint): KafkajsBatch {
  const [{ partitions: [partition] } = { partitions: [] }] = response.responses;
  if (partition === undefined) throw new Error("no partition");
  return new Batch(TOPIC, String(fetchOffset), partition);
}

function comparable({ offset, timestamp, key, value, headers: all }: KafkaMessage): Comparable {
  return { offset, timestamp, key, value, headers: all };
}

test("kafkajs gets what was committed, from the wanted offset on, and the bounds of all of it", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat(), fc.boolean(), async (written, skipped, cut, isReversed) => {
      const start = 2n ** 40n;
      const { batches, aborted } = await writeLog(written, start);
      const last = batches.at(-1)?.lastOffset;
      fc.pre(last !== undefined);
      const fetchOffset = start + (BigInt(skipped) % (last - start + 1n));
      const sent = batches.filter(({ lastOffset }) => lastOffset >= fetchOffset);
      const all = Buffer.concat(sent.map((batch) => batch.bytes));
      // The last one is cut off somewhere, as where a fetch is full.
      const isCut = sent.length > 1 && cut % 2 === 0;
      const whole = isCut ? sent.slice(0, -1) : sent;
      const dropped = isCut ? 1 + (cut % ((sent.at(-1)?.bytes.length ?? 2) - 1)) : 0;
      const overlapping = aborted.filter(({ lastOffset }) => lastOffset >= fetchOffset);
      const response = responseBytes(
        all.subarray(0, all.length - dropped),
        isReversed ? overlapping.toReversed() : overlapping,
      );

      const batch = await decodeBatch(response, fetchOffset);

      const visible = whole.flatMap(({ outcome, messages }) => (outcome === "abort" ? [] : messages));
      const wanted = visible.filter(({ offset }) => BigInt(offset) >= fetchOffset);
      expect(batch.messages.map(comparable)).toEqual(wanted);
      expect(batch.firstOffset()).toBe(String(fetchOffset));
      expect(batch.lastOffset()).toBe(String(whole.at(-1)?.lastOffset));
      expect(batch.isEmptyDueToFiltering()).toBe(wanted.length === 0);
    }),
  );
});

test("whole responses are decoded as kafkajs does", async () => {
  const plain = steps.map((all) =>
    all.map((step) =>
      "end" in step
        ? step
        : { ...step, isTransactional: false, records: step.records.map((each) => ({ ...each, isGone: false })) },
    ),
  );
  await fc.assert(
    fc.asyncProperty(plain, fc.bigInt({ min: 0n, max: 2n ** 60n }), async (written, start) => {
      const { batches } = await writeLog(written, start);
      fc.pre(batches.length > 0);
      const response = responseBytes(Buffer.concat(batches.map((batch) => batch.bytes)), []);
      const theirs = await kafkajsResponse.decode(response);
      const partitions = [{ partition: PARTITION, fetchOffset: String(start) }];
      const ours = await decodeFetchResponse({ topics: [{ topic: TOPIC, partitions }] }, response);

      expect(withoutMessages(ours)).toEqual(withoutMessages(theirs));
      const [found, expected] = [kafkajsBatch(ours, start), kafkajsBatch(theirs, start)];
      expect(found.messages.map(comparable)).toEqual(expected.messages.map(comparable));
      expect(found.firstOffset()).toBe(expected.firstOffset());
      expect(found.lastOffset()).toBe(expected.lastOffset());
    }),
  );
});

function withoutMessages(response: FetchResponse): object {
  const responses = response.responses.map(({ topicName, partitions }) => ({
    topicName,
    partitions: partitions.map((partition) => ({ ...partition, messages: undefined })),
  }));
  return { ...response, responses };
}

test("a header that stands there twice has both values", async () => {
  const twice = {
    offsetDelta: 0,
    timestampDelta: 0,
    key: null,
    value: null,
    headers: { name: ["a", "b"], other: "c" },
  };
  const options = { producer: 1, isTransactional: false, compression: Compression.None };
  const response = responseBytes(await batchBytes(options, 5n, 0, [Record(twice)]), []);

  const { messages } = await decodeBatch(response, 5n);

  const values = { name: [Buffer.from("a"), Buffer.from("b")], other: Buffer.from("c") };
  expect(messages.map((message) => message.headers)).toEqual([values]);
});

test("a response without records has none, and does not move", async () => {
  const batch = await decodeBatch(responseBytes(Buffer.alloc(0), []), 5n);

  expect(batch.messages).toEqual([]);
  expect(batch.isEmptyDueToFiltering()).toBe(false);
});

test("records as Kafka kept them before 0.11 are refused", async () => {
  const old = Buffer.alloc(61);
  old[16] = 1;

  await expect(decodeBatch(responseBytes(old, []), 5n)).rejects.toThrow("before 0.11");
});

test("a response that ends within a value is refused", async () => {
  const response = responseBytes(Buffer.alloc(100), []);

  await expect(decodeBatch(response.subarray(0, response.length - 1), 5n)).rejects.toThrow("ends within a value");
});
