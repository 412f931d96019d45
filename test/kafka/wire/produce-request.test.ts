// kafkajs's own encoder says what is right.
import { createRequire } from "node:module";
import * as fc from "fast-check";
import kafkajs from "kafkajs";
import type { IHeaders, Message } from "kafkajs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { groupedByPartition } from "../../../src/kafka/wire/kafkajs-arrays.ts";
import { encodeProduceRequest, replaceProduceEncoder } from "../../../src/kafka/wire/produce-request.ts";
import type { ProduceRequest } from "../../../src/kafka/wire/produce-request.ts";
import { registerZstd } from "../../../src/kafka/wire/zstd.ts";

registerZstd();
replaceProduceEncoder();

const require = createRequire(import.meta.url);
const { CompressionTypes: Compression } = kafkajs;
const VERSIONS = [3, 4, 5, 6, 7];
const RECORDS_FROM = 61;

interface Encoder {
  readonly buffer: Buffer;
}

interface KafkajsRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  expectResponse(): boolean;
  encode(): Promise<Encoder>;
}

function kafkajsRequest(version: number, request: ProduceRequest): KafkajsRequest {
  const path = `kafkajs/src/protocol/requests/produce/v${version}/request.js`;
  return (require(path) as (request: ProduceRequest) => KafkajsRequest)(request);
}

async function kafkajsBytes(request: ProduceRequest): Promise<Buffer> {
  return (await kafkajsRequest(7, request).encode()).buffer;
}

async function ourBytes(request: ProduceRequest): Promise<Buffer> {
  return (await encodeProduceRequest(request)).buffer;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const text = fc.string({ unit: "binary", maxLength: 20 });
const bytes = fc.oneof(
  { weight: 50, arbitrary: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 200_000 }).map((length) => Buffer.alloc(length, "x")) },
);
const value = fc.oneof(text, bytes);
const headers: fc.Arbitrary<IHeaders> = fc.dictionary(text, fc.oneof(value, fc.array(value, { maxLength: 3 })), {
  maxKeys: 3,
});
/** kafkajs finds the first and the last by their digits as text. */
const timestamp = fc.integer({ min: 1e12, max: 1e13 - 1 }).map(String);

function messages(withTimestamps: boolean, before: readonly Message[]): fc.Arbitrary<Message[]> {
  const message = fc.record(
    {
      key: fc.option(value),
      value: fc.option(value),
      headers,
      ...(withTimestamps ? { timestamp } : {}),
    },
    { requiredKeys: withTimestamps ? ["value", "timestamp"] : ["value"] },
  );
  const time = withTimestamps ? { timestamp: String(1e12) } : {};
  const first = before.map((each) => ({ ...each, ...time }));
  return fc.array(message, { minLength: 1, maxLength: 30 }).map((rest) => [...first, ...rest]);
}

function topics(ofPartition: fc.Arbitrary<Message[]>): fc.Arbitrary<ProduceRequest["topicData"]> {
  const partition = fc.record({
    partition: fc.nat(),
    firstSequence: fc.nat({ max: 0x7fffffff }),
    messages: ofPartition,
  });
  return fc.array(fc.record({ topic: text, partitions: fc.array(partition, { minLength: 1, maxLength: 3 }) }), {
    minLength: 1,
    maxLength: 3,
  });
}

/** @param before what stands before the random messages of each partition */
function requests(compression: number, before: readonly Message[] = []): fc.Arbitrary<ProduceRequest> {
  return fc.record({
    acks: fc.constantFrom(-1, 0, 1),
    timeout: fc.nat({ max: 0x7fffffff }),
    compression: fc.constant(compression),
    transactionalId: fc.oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.constant(undefined)),
    producerId: fc.oneof(fc.constant(-1), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String)),
    producerEpoch: fc.nat({ max: 0x7fff }),
    topicData: fc.oneof(topics(messages(true, before)), topics(messages(false, before))),
  });
}

function single(compression: number, ofPartition: readonly Message[]): ProduceRequest {
  return {
    acks: -1,
    timeout: 30_000,
    compression,
    transactionalId: "t",
    producerId: "7",
    producerEpoch: 1,
    topicData: [{ topic: "topic", partitions: [{ partition: 3, firstSequence: 5, messages: ofPartition }] }],
  };
}

/** The one batch of a request that `single` made. */
function batchOf(request: Buffer): Buffer {
  const before = 2 + 1 + 2 + 4 + 4 + 2 + 5 + 4 + 4;
  expect(request.readInt32BE(before)).toBe(request.length - before - 4);
  return request.subarray(before + 4);
}

test("a request without compression has the bytes that kafkajs gives it", async () => {
  await fc.assert(
    fc.asyncProperty(requests(Compression.None), async (request) => {
      expect((await ourBytes(request)).equals(await kafkajsBytes(request))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test.each([Compression.ZSTD, Compression.GZIP])(
  "a compressed request is kafkajs's own too: codec %i",
  async (codec) => {
    await fc.assert(
      fc.asyncProperty(requests(codec, [{ value: "worth it ".repeat(1_000) }]), async (request) => {
        expect((await ourBytes(request)).equals(await kafkajsBytes(request))).toBe(true);
      }),
      { numRuns: 50 },
    );
  },
);

test("a small batch is not compressed", async () => {
  const sent = [{ value: "v".repeat(4_000) }];
  expect(await ourBytes(single(Compression.ZSTD, sent))).toEqual(await kafkajsBytes(single(Compression.None, sent)));
});

test("a compressed batch decompresses to the bytes that are sent without compression", async () => {
  const sent = Array.from({ length: 1_000 }, (_, index) => ({ key: `k${index}`, value: "v".repeat(index) }));
  const plain = batchOf(await ourBytes(single(Compression.None, sent)));
  const compressed = batchOf(await ourBytes(single(Compression.ZSTD, sent)));
  expect(compressed.length).toBeLessThan(plain.length / 10);
  const records = await decompress(compressed.subarray(RECORDS_FROM));
  expect(records.equals(plain.subarray(RECORDS_FROM))).toBe(true);
});

async function decompress(bytes: Buffer): Promise<Buffer> {
  const { CompressionCodecs } = kafkajs;
  const codec = CompressionCodecs[Compression.ZSTD] as () => { decompress(bytes: Buffer): Promise<Buffer> };
  return await codec().decompress(bytes);
}

test("a batch's times are the first and the last of its records, and now for records without one", async () => {
  const now = 1_700_000_000_000;
  vi.setSystemTime(now);
  const timesOf = async (...times: (string | undefined)[]): Promise<bigint[]> => {
    const sent = times.map((timestamp) => ({ value: null, ...(timestamp === undefined ? {} : { timestamp }) }));
    const batch = batchOf(await ourBytes(single(Compression.None, sent)));
    return [batch.readBigInt64BE(27), batch.readBigInt64BE(35)];
  };
  expect(await timesOf("10", "9", "100")).toEqual([9n, 100n]);
  expect(await timesOf("5", undefined)).toEqual([5n, BigInt(now)]);
  expect(await timesOf(undefined)).toEqual([BigInt(now), BigInt(now)]);
});

test("a record whose time is a number is encoded like a message of kafkajs with the same time as text", async () => {
  const records = [5, 7, 3].map((timestampMs) => ({ value: `at ${timestampMs}`, timestampMs }));
  const messages = records.map(({ value, timestampMs }) => ({ value, timestamp: String(timestampMs) }));
  expect(await ourBytes(single(Compression.None, records))).toEqual(
    await kafkajsBytes(single(Compression.None, messages)),
  );
});

test("a header without a value, which kafkajs cannot write, is written as null", async () => {
  const bytes = await ourBytes(single(Compression.None, [{ value: null, headers: { name: undefined } }]));
  // Attributes, time and offset; no key, no value; one header with a name of four bytes and no value.
  expect(batchOf(bytes).subarray(RECORDS_FROM).toString("hex")).toBe("18000000010102086e616d6501");
});

test("requests that are encoded at the same time do not disturb each other", async () => {
  const all = Array.from({ length: 20 }, (_, index) =>
    single(Compression.ZSTD, [{ key: `k${index}`, value: `v${index} `.repeat(10_000) }]),
  );
  const encoded = await Promise.all(all.map(ourBytes));
  for (const [index, request] of all.entries()) expect(encoded[index]?.equals(await ourBytes(request))).toBe(true);
});

test.each(VERSIONS)(
  "kafkajs sends version %i with our encoder, and the rest of the request is kafkajs's",
  async (version) => {
    const { requests, lookup } = require("kafkajs/src/protocol/requests/index.js") as {
      requests: { Produce: unknown };
      lookup: (versions: object) => (
        apiKey: number,
        definition: unknown,
      ) => (request: ProduceRequest) => {
        request: KafkajsRequest;
        response: unknown;
      };
    };
    const ours = lookup({ 0: { minVersion: 0, maxVersion: version } })(0, requests.Produce);
    const theirs = kafkajsRequest(version, single(Compression.None, [{ value: null }]));
    const { request, response } = ours(single(Compression.None, [{ value: null, headers: { name: undefined } }]));
    expect(response).toBe(require(`kafkajs/src/protocol/requests/produce/v${version}/response.js`));
    expect({ ...request, encode: null, expectResponse: null }).toEqual({
      ...theirs,
      encode: null,
      expectResponse: null,
    });
    expect(request.expectResponse()).toBe(true);
    // Which only ours can.
    expect((await request.encode()).buffer.length).toBeGreaterThan(RECORDS_FROM);
  },
);

test("kafkajs groups by partition with our result", () => {
  const group = require("kafkajs/src/producer/groupMessagesPerPartition.js") as (options: object) => object;
  const messages: Message[] = [3, 0, 3, 1, 0].map((partition, index) => ({ partition, value: String(index) }));
  const options = { topic: "topic", partitionMetadata: [{}] };
  const partitioner = ({ message }: { message: Message }): number | undefined => message.partition;
  const expected = group({ ...options, messages: [...messages], partitioner });
  expect(Object.keys(expected)).toEqual(["0", "1", "3"]);
  expect(group({ ...options, messages: groupedByPartition(messages), partitioner: expect.unreachable })).toEqual(
    expected,
  );
});

test("a broker older than Kafka 0.11 is refused", () => {
  const { requests } = require("kafkajs/src/protocol/requests/index.js") as {
    requests: { Produce: { protocol: (options: { version: number }) => unknown } };
  };
  expect(() => requests.Produce.protocol({ version: 2 })).toThrow(
    expect.objectContaining({ code: "KAFKA_TOO_OLD", kind: "fatal" }) as Error,
  );
});

test("kafkajs's internals are those that the encoder was written for", () => {
  const { version } = require("kafkajs/package.json") as { version: string };
  expect(version, "compare src/kafka with the new kafkajs").toBe("2.2.4");
  const { versions } = require("kafkajs/src/protocol/requests/produce/index.js") as { versions: string[] };
  expect(versions.map(Number)).toEqual([0, 1, 2, ...VERSIONS]);
});
