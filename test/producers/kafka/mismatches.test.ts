import { describe, expect, test } from "vitest";
import { copyAnew, findMismatches, signalsLoss } from "../../../src/producers/kafka/mismatches.ts";
import type { CollectionNow, SignalsNow } from "../../../src/producers/kafka/mismatches.ts";
import type { CollectionIdentity, Position } from "../../../src/schemas/change-event.ts";
import { mappingFingerprint } from "../../../src/schemas/mapping/fingerprint.ts";

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

describe("a filter that has changed", () => {
  const mapping = (filter?: string) =>
    mappingFingerprint({
      collection: "things",
      mode: "document",
      columns: [],
      children: [],
      idType: undefined,
      filter,
    });
  const positionWith = (filter?: string): Position => ({
    ...POSITION,
    horizon: 9n,
    identities: new Map([["things", { topicId: "id 1", mapping: mapping(filter) }]]),
  });
  const found = (position: Position, filter?: string) =>
    findMismatches(position, {
      database: "shop",
      collections: new Map([["things", { ...NOW, mapping: mapping(filter) }]]),
    });

  test.each([
    ["is added", undefined, '{"a":1}'],
    ["is another one", '{"a":1}', '{"a":2}'],
    ["is removed", '{"a":1}', undefined],
  ])("%s", (_, before, after) => {
    expect(found(positionWith(before), after)).toMatchObject([{ why: "mapping changed", hasOtherFilter: true }]);
  });

  test("is added at the upgrade from version 0.1.0, which knew none", () => {
    const old = { ...positionWith(), identities: undefined };
    expect(found(old, '{"a":1}')).toMatchObject([{ why: "mapping changed", hasOtherFilter: true }]);
    expect(found(old)).toEqual([]);
  });

  test("the same one is no mismatch, and other columns are no other filter", () => {
    expect(found(positionWith('{"a":1}'), '{"a":1}')).toEqual([]);
    const columns = { ...NOW, mapping: "m 2" };
    expect(findMismatches(POSITION, { database: "shop", collections: new Map([["things", columns]]) })).toMatchObject([
      { why: "mapping changed", hasOtherFilter: false },
    ]);
  });

  test("sweeps all that was published before, up to the horizon, and the copy begins after it", () => {
    const copied = copyAnew(positionWith(), ["things"], new Set(["things"]));
    expect(copied.snapshots.get("things")).toEqual({ state: "running", after: null, sweepBelow: 10n });
    // Copied again before it has begun, it still sweeps all of that.
    expect(copyAnew(copied, ["things"]).snapshots.get("things")).toMatchObject({ sweepBelow: 10n });
  });
});
