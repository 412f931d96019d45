import { createRequire } from "node:module";
import * as fc from "fast-check";
import kafkajs from "kafkajs";
import type { KafkaMessage } from "kafkajs";
import { expect, test } from "vitest";
import { decodeFetchResponse } from "../../../src/kafka/wire/fetch-response.ts";
import type { FetchResponse, PartitionResponse } from "../../../src/kafka/wire/fetch-response.ts";
import type { FetchedRecord } from "../../../src/kafka/wire/record-batch.ts";
import { registerZstd } from "../../../src/kafka/wire/zstd.ts";
import {
  batchBytes,
  FIRST_TIME,
  PARTITION,
  Record,
  responseBytes,
  setAttribute,
  TOPIC,
  writeLog,
} from "./written-log.ts";
import type { Comparable, Step, WrittenRecord } from "./written-log.ts";

registerZstd();

const require = createRequire(import.meta.url);
const { CompressionTypes: Compression } = kafkajs;
const kafkajsResponse = require("kafkajs/src/protocol/requests/fetch/v11/response.js") as {
  decode(bytes: Buffer): Promise<FetchResponse>;
};
const Batch = require("kafkajs/src/consumer/batch.js") as new (
  topic: string,
  fetchedOffset: string,
  partition: PartitionResponse,
) => KafkajsBatch;

interface KafkajsBatch {
  readonly messages: readonly (KafkaMessage | FetchedRecord)[];
  firstOffset(): string | null;
  lastOffset(): string;
  isEmptyDueToFiltering(): boolean;
}

const MAX_DELTA_MS = 2 ** 40;

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

function comparable(message: KafkaMessage | FetchedRecord): Comparable {
  const { offset, key, value, headers: all } = message;
  const timestamp = "timestampMs" in message ? String(message.timestampMs) : message.timestamp;
  return { offset: String(offset), timestamp, key, value, headers: all };
}

test("kafkajs gets the committed records from the wanted offset on, and the offsets of the whole response", async () => {
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
    partitions: partitions.map((partition) => ({ ...partition, messages: undefined, part: undefined })),
  }));
  return { ...response, responses };
}

test("a header with several values has the last one", async () => {
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

  const values = { name: Buffer.from("b"), other: Buffer.from("c") };
  expect(messages.map((message) => message.headers)).toEqual([values]);
});

test("a response without records has no records and no bounds", async () => {
  const batch = await decodeBatch(responseBytes(Buffer.alloc(0), []), 5n);

  expect(batch.messages).toEqual([]);
  expect(batch.isEmptyDueToFiltering()).toBe(false);
});

test("records in the format from before Kafka 0.11 are refused", async () => {
  const old = Buffer.alloc(61);
  old[16] = 1;

  await expect(decodeBatch(responseBytes(old, []), 5n)).rejects.toMatchObject({ code: "KAFKA_TOO_OLD", kind: "fatal" });
});

test("a response that ends in the middle of a value is refused", async () => {
  const response = responseBytes(Buffer.alloc(100), []);

  for (const length of [2, 20, response.length - 1]) {
    await expect(decodeBatch(response.subarray(0, length), 5n)).rejects.toMatchObject({
      code: "KAFKA_RESPONSE_UNREADABLE",
      kind: "fatal",
    });
  }
});

test.each([
  ["of an unknown compression", (batch: Buffer) => setAttribute(batch, 7)],
  ["that end within a record", (batch: Buffer) => batch.writeInt32BE(2, 57)],
])("records %s are refused", async (_, damage) => {
  const record = { offsetDelta: 0, timestampDelta: 0, key: null, value: Buffer.from("a"), headers: {} };
  const options = { producer: 1, isTransactional: false, compression: Compression.None };
  const batch = await batchBytes(options, 5n, 0, [Record(record)]);
  damage(batch);

  await expect(decodeBatch(responseBytes(batch, []), 5n)).rejects.toMatchObject({
    code: "KAFKA_RESPONSE_UNREADABLE",
    kind: "fatal",
  });
});

test("every record has its place", async () => {
  const record = { offsetDelta: 2, timestampDelta: 3, key: Buffer.from("k"), value: null, headers: {} };
  const options = { producer: 1, isTransactional: false, compression: Compression.None };
  const { messages } = await decodeBatch(responseBytes(await batchBytes(options, 5n, 2, [Record(record)]), []), 5n);

  expect(messages).toEqual([
    {
      topic: TOPIC,
      partition: PARTITION,
      offset: 7n,
      key: Buffer.from("k"),
      value: null,
      headers: {},
      timestampMs: FIRST_TIME + 3,
    },
  ]);
});
