import { createRequire } from "node:module";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  OLD_TRUNCATE_KEY,
  checkTopicNames,
  collectionOf,
  consumerGroup,
  deadLetterTopic,
  mayBeTruncate,
  partitionOf,
  positionsTopic,
  signalsTopic,
  topicOf,
  transactionalId,
} from "../../src/schemas/topics.ts";

const collection = fc.oneof(
  fc.string({ unit: "binary", minLength: 1 }),
  fc
    .array(fc.constantFrom(".", "_", "-", "_u005f", "a", "é", "$", "positions"), { minLength: 1 })
    .map((parts) => parts.join("")),
);
const database = fc.stringMatching(/^[A-Za-z0-9_é-]{1,20}$/);

describe("a collection's topic", () => {
  it("has only characters that Kafka allows, and can be turned back into the collection", () => {
    fc.assert(
      fc.property(database, collection, (db, name) => {
        const topic = topicOf("shop", db, name);
        expect(topic).toMatch(/^[A-Za-z0-9._-]+$/);
        expect(collectionOf("shop", db, topic)).toBe(name);
      }),
      { numRuns: 1000 },
    );
  });

  it("is readable", () => {
    expect(topicOf("shop", "store", "order.items-2024_old")).toBe("shop.store.order.items-2024_old");
    expect(topicOf("shop", "store", "näme $x")).toBe("shop.store.n_u00e4me_u0020_u0024x");
  });

  it("differs from the topics of another database, pipeline or purpose", () => {
    expect(collectionOf("shop", "store", "shop.stores.a")).toBeUndefined();
    expect(collectionOf("shop", "store", "shop2.store.a")).toBeUndefined();
    expect(collectionOf("shop", "store", positionsTopic("shop"))).toBeUndefined();
    expect(collectionOf("shop", "store", "shop.store.")).toBeUndefined();
    expect(collectionOf("shop", "store", "shop.store._u0061")).toBeUndefined();
  });
});

describe("the names of a pipeline", () => {
  it("are made from its own", () => {
    expect(
      [positionsTopic, signalsTopic, deadLetterTopic, consumerGroup, transactionalId].map((name) => name("shop")),
    ).toEqual(["shop.positions", "shop.signals", "shop.dlq", "headrace.shop", "headrace.shop"]);
  });

  it("may be many", () => {
    expect(() => checkTopicNames("shop", "store", ["a", "b", "A", "a-b", "a.c", "dlq"])).not.toThrow();
  });

  it("are refused if Kafka cannot tell two topics apart", () => {
    const collision = expect.objectContaining({ code: "NAME_COLLISION", kind: "fatal" });
    expect(() => checkTopicNames("shop", "store", ["a.b", "x", "a_b"])).toThrow(collision);
    expect(() => checkTopicNames("shop", "store", ["a.b", "a_b"])).toThrow(/"a\.b".*"a_b"/);
  });

  it("are refused if they are too long, including escapes", () => {
    const room = 249 - "shop.store.".length;
    expect(() => checkTopicNames("shop", "store", ["x".repeat(room)])).not.toThrow();
    expect(() => checkTopicNames("shop", "store", ["x".repeat(room + 1)])).toThrow(
      expect.objectContaining({ code: "NAME_COLLISION", message: expect.stringContaining("250") }),
    );
    expect(() => checkTopicNames("shop", "store", [`é${"x".repeat(room - 1)}`])).toThrow(/254 characters/);
  });
});

describe("a key's partition", () => {
  const kafkajsMurmur2 = createRequire(import.meta.url)("kafkajs/src/producer/partitioners/default/murmur2.js") as (
    key: Buffer,
  ) => number;
  const framed = (id: number, body: Uint8Array) => {
    const header = Buffer.alloc(5);
    header.writeInt32BE(id, 1);
    return Buffer.concat([header, body]);
  };

  it("is the one that Kafka chooses for the body, for any schema id", () => {
    const schemaId = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(
        schemaId,
        fc.uint8Array({ maxLength: 40 }),
        fc.integer({ min: 1, max: 1000 }),
        (id, body, partitions) => {
          const expected = (kafkajsMurmur2(Buffer.from(body)) & 0x7fffffff) % partitions;
          expect(partitionOf(framed(id, body), partitions)).toBe(expected);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each([
    ["21", -973_932_308],
    ["foobar", -790_332_482],
    ["a-little-bit-long-string", -985_981_536],
    ["a-little-bit-longer-string", -1_486_304_829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
    ["abc", 479_470_107],
  ])("is the one that Kafka's own tests give for %s", (text, hash) => {
    expect(partitionOf(framed(1, Buffer.from(text)), 2 ** 31)).toBe(hash & 0x7fffffff);
  });

  it("is spread", () => {
    const counts = [0, 0, 0, 0];
    for (let index = 0; index < 4000; index++) {
      const partition = partitionOf(framed(1, Buffer.from(`key-${index}`)), 4);
      counts[partition] = counts[partition]! + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(800);
  });

  it("is not needed for the key of a truncate", () => {
    expect(OLD_TRUNCATE_KEY.toString()).toBe("headrace.truncate");
    for (const key of [OLD_TRUNCATE_KEY, framed(8, Buffer.of(0))]) expect(mayBeTruncate(key)).toBe(true);
    for (const key of [null, framed(8, Buffer.of(2)), framed(8, Buffer.of(0, 0))])
      expect(mayBeTruncate(key)).toBe(false);
  });
});
