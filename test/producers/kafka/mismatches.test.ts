import { describe, expect, test } from "vitest";
import { copyAnew, findMismatches, signalsLoss } from "../../../src/producers/kafka/mismatches.ts";
import type { CollectionNow, SignalsNow } from "../../../src/producers/kafka/mismatches.ts";
import type { CollectionIdentity, Position } from "../../../src/schemas/change-event.ts";

const POSITION: Position = {
  resumeToken: null,
  clusterTime: 7n,
  isWhole: true,
  cluster: "rs0",
  database: "shop",
  horizon: 0n,
  snapshots: new Map([["things", { state: "done", at: 1n }]]),
  signals: { offset: 0n, after: null },
  identities: new Map([["things", { topicId: "id 1", mapping: "m 1" }]]),
};

const NOW: CollectionNow = { topic: "p.shop.things", topicId: "id 1", mapping: "m 1" };

function why(
  now: Partial<CollectionNow>,
  stored?: CollectionIdentity | null,
  position: Partial<Position> = {},
): string | null {
  const identities = stored === undefined ? POSITION.identities : new Map(stored === null ? [] : [["things", stored]]);
  const collections = new Map([["things", { ...NOW, ...now }]]);
  const found = findMismatches({ ...POSITION, identities, ...position }, { database: "shop", collections });
  return found[0]?.why ?? null;
}

describe("a collection that the position knows", () => {
  test.each<[string, string | null, Partial<CollectionNow>, CollectionIdentity?]>([
    ["nothing has changed", null, {}],
    ["the topic is gone", "topic deleted", { topicId: undefined }],
    ["the topic has another id", "topic recreated", { topicId: "id 2" }],
    ["the brokers give no ids any more", null, { topicId: null }],
    ["the brokers give ids since", null, {}, { topicId: null, mapping: "m 1" }],
    ["the mapping is another one", "mapping changed", { mapping: "m 2" }],
    ["topic and mapping are others", "topic recreated", { topicId: "id 2", mapping: "m 2" }],
  ])("%s: %s", (_, expected, now, stored) => {
    expect(why(now, stored)).toBe(expected);
  });

  test("of version 0.1.0, which stored no identities, fits whatever it finds, but not a missing topic", () => {
    const old = { identities: undefined, database: undefined };
    expect(why({ topicId: "id 2", mapping: "m 2" }, undefined, old)).toBeNull();
    expect(why({ topicId: undefined }, undefined, old)).toBe("topic deleted");
  });
});

test("a collection that had no topic yet, or no snapshot, cannot mismatch", () => {
  expect(why({ topicId: undefined }, null)).toBeNull();
  expect(why({ topicId: "id 2" }, undefined, { snapshots: new Map() })).toBeNull();
  expect(findMismatches(null, { database: "shop", collections: new Map([["things", NOW]]) })).toEqual([]);
});

test("a position of another database is refused", () => {
  expect(() => findMismatches(POSITION, { database: "other", collections: new Map() })).toThrow(
    expect.objectContaining({ code: "POSITION_OF_OTHER_DATABASE", message: expect.stringContaining('"shop"') }),
  );
});

describe("the signals topic", () => {
  const position: Position = { ...POSITION, signals: { offset: 5n, after: null }, signalsTopicId: "id 1" };
  const now: SignalsNow = { topicId: "id 1", low: 3n, high: 7n };
  test.each<[string, string | undefined, SignalsNow | null]>([
    ["has all that was not carried out", undefined, now],
    ["has only that", undefined, { ...now, low: 5n, high: 5n }],
    ["is gone", "TOPIC_DELETED", null],
    ["has another id", "TOPIC_RECREATED", { ...now, topicId: "id 2" }],
    ["ends before the position, and the brokers give no ids", "TOPIC_RECREATED", { topicId: null, low: 0n, high: 4n }],
    ["begins behind the position", "HISTORY_LOST_IN_KAFKA", { ...now, low: 6n }],
  ])("%s: %s", (_, code, found) => {
    const loss = signalsLoss("p.signals", position, found);
    expect(loss?.code).toBe(code);
    if (loss === null) return;
    expect(loss.message).toMatch(/signals topic p\.signals/);
    expect(loss.message).toMatch(/requests/i);
    expect(loss.remedy).toContain("onHistoryLost: resnapshot");
  });
});

test("what is copied anew ends with a sweep; the other collections stay as they are", () => {
  const others = new Map([...POSITION.snapshots, ["others", { state: "done", at: 2n } as const]] as const);
  const { snapshots } = copyAnew({ ...POSITION, snapshots: others }, ["things"]);
  expect([...snapshots]).toEqual([
    ["things", { state: "running", after: null, sweepBelow: 7n }],
    ["others", { state: "done", at: 2n }],
  ]);
});
