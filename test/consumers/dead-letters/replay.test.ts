import { describe, expect, test, vi } from "vitest";
import { replayDeadLetters } from "../../../src/consumers/dead-letters/replay.ts";
import type { ReplayOptions } from "../../../src/consumers/dead-letters/replay.ts";
import type { LogRecord } from "../../../src/consumers/ports.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import { parseDeadLetter } from "../../../src/schemas/dead-letter.ts";
import { MemoryDeadLetters, MemoryOutcomes } from "./memory-dead-letters.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const table = { schema: "public", table: "products" };
const refused = new HeadraceError("VALUE_REFUSED", { message: "refused" });

function record(offset: number, more: Partial<LogRecord> = {}): LogRecord {
  return {
    topic: "shop.shop.products",
    partition: 1,
    offset: BigInt(offset),
    key: Buffer.from("key"),
    value: Buffer.from(`value ${offset}`),
    headers: {},
    timestampMs: 0,
    ...more,
  };
}

/** A DLQ with one dead letter for each record, and what a replay of them did. */
async function setUp(records: readonly LogRecord[], options: Partial<ReplayOptions> = {}) {
  const letters = new MemoryDeadLetters();
  for (const each of records) {
    await letters.write(each, { error: refused, stage: "TASK_PUT", table, attempts: 1 });
  }
  const results: string[] = [];
  const applied: unknown[] = [];
  const run = (more: Partial<ReplayOptions> = {}) =>
    replayDeadLetters({
      reader: letters,
      outcomes: new MemoryOutcomes(),
      archive: { read: () => Promise.resolve([]) },
      keyOf: () => Promise.resolve(null),
      presentTopicIds: () => Promise.resolve(new Map()),
      decode: ({ value, offset }) => ({
        op: "c",
        rowSchema: { idType: "string", children: [], columns: [] },
        key: String(value),
        version: offset,
        children: [],
        cells: Buffer.alloc(0),
      }),
      sink: {
        replay: (origin, attempts, into, change) => {
          applied.push({ ...origin, attempts, into, key: change.key });
          return Promise.resolve("replayed");
        },
      },
      writer: letters,
      tableOf: (topic) => (topic === "shop.shop.products" ? table : undefined),
      filter: {},
      patience: { constraintPatienceMs: 0, schemaPatienceMs: 0, passingPatienceMs: 0 },
      logger: quiet,
      onResult: async ({ id }, result) => {
        results.push(`${id} ${result}`);
      },
      signal: new AbortController().signal,
      ...options,
      ...more,
    });
  return { letters, results, applied, run };
}

test("replays each record unchanged, with its origin and one more attempt", async () => {
  const { run, applied, results } = await setUp([record(7), record(9)]);
  expect(await run()).toEqual({ replayed: 2, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 });
  const origin = { topic: "shop.shop.products", partition: 1, topicId: null, attempts: 2, into: table };
  expect(applied).toEqual([
    { ...origin, offset: 7n, key: "value 7" },
    { ...origin, offset: 9n, key: "value 9" },
  ]);
  expect(results).toEqual(["shop.shop.products/1/7 replayed", "shop.shop.products/1/9 replayed"]);
});

test("replays the dead letters of every partition, if an administrator gave the topic several", async () => {
  const { letters, run, results } = await setUp([record(7), record(8), record(9)]);
  // The offsets of two partitions: 5 and 0 in the first, 0 in the second.
  const places = [
    { partition: 0, offset: 0n },
    { partition: 0, offset: 5n },
    { partition: 1, offset: 0n },
  ];
  const placed = letters.records.map((letter, index) => ({ ...letter, ...places[index] }));
  const reader: ReplayOptions["reader"] = {
    async scan(visit, { from = 0n, to = 6n }) {
      for (const each of placed.filter(({ offset }) => offset >= from && offset < to)) await visit(each);
    },
  };
  expect(await run({ reader })).toMatchObject({ replayed: 3 });
  expect(results).toEqual([7, 8, 9].map((offset) => `shop.shop.products/1/${offset} replayed`));
});

test("scans the topic once, and then the part from the first match to the last one", async () => {
  const { run, letters } = await setUp([record(6), record(7), record(8), record(9), record(10)]);
  const scan = vi.spyOn(letters, "scan");
  const ids = [7, 9].map((offset) => `shop.shop.products/1/${offset}`);
  expect(await run({ filter: { ids } })).toMatchObject({ replayed: 2 });
  expect(scan.mock.calls.map(([, { from, to }]) => ({ from, to }))).toEqual([{}, { from: 1n, to: 4n }]);
});

test("replays only dead letters that match the filter", async () => {
  const { run, applied } = await setUp([record(7), record(9)], { filter: { ids: ["shop.shop.products/1/9"] } });
  expect(await run()).toMatchObject({ replayed: 1 });
  expect(applied).toMatchObject([{ offset: 9n }]);
});

test("counts superseded dead letters apart from replayed ones", async () => {
  const { run } = await setUp([record(7)], { sink: { replay: () => Promise.resolve("superseded") } });
  expect(await run()).toMatchObject({ replayed: 0, superseded: 1 });
});

describe("a dead letter that fails again", () => {
  test("is written again with one more attempt, and the others are replayed", async () => {
    const failing: Partial<ReplayOptions> = {
      sink: {
        replay: ({ offset }) => (offset === 7n ? Promise.reject(refused) : Promise.resolve("replayed")),
      },
    };
    const { run, letters } = await setUp([record(7), record(9)], failing);
    expect(await run()).toMatchObject({ replayed: 1, failed: 1 });
    expect(await run({ filter: { ids: ["shop.shop.products/1/7"] } })).toMatchObject({ replayed: 0, failed: 1 });
    const returned = letters.records.slice(2);
    expect(returned.map(({ headers }) => parseDeadLetter(headers))).toMatchObject([
      { topic: "shop.shop.products", partition: 1, offset: 7n, attempts: 2, code: "VALUE_REFUSED", stage: "TASK_PUT" },
      { topic: "shop.shop.products", partition: 1, offset: 7n, attempts: 3 },
    ]);
    expect(returned.map(({ key, value }) => `${String(key)} ${String(value)}`)).toEqual(["key value 7", "key value 7"]);
  });

  test("is written again also where it cannot be decoded", async () => {
    const undecodable = new HeadraceError("RECORD_UNDECODABLE", { message: "no schema id" });
    const decode = () => {
      throw undecodable;
    };
    const { run, letters } = await setUp([record(7)], { decode });
    expect(await run()).toMatchObject({ failed: 1 });
    expect(parseDeadLetter(letters.records[1]?.headers ?? {})).toMatchObject({
      code: "RECORD_UNDECODABLE",
      stage: "VALUE_CONVERTER",
      attempts: 2,
    });
  });

  test("is not tried again in the same replay", async () => {
    let tries = 0;
    const sink = {
      replay: () => {
        tries += 1;
        return Promise.reject(refused);
      },
    };
    const { run } = await setUp([record(7)], { sink });
    await run();
    expect(tries).toBe(1);
  });
});

test("retries a retryable error", async () => {
  const lost = new HeadraceError("POSTGRES_UNAVAILABLE", { message: "lost" });
  let tries = 0;
  const sink = {
    replay: () => {
      tries += 1;
      return tries < 3 ? Promise.reject(lost) : Promise.resolve("replayed" as const);
    },
  };
  const { run } = await setUp([record(7)], { sink });
  expect(await run()).toMatchObject({ replayed: 1 });
  expect(tries).toBe(3);
});

test("an error that no record caused ends the replay, and the dead letter stays open", async () => {
  const bug = new TypeError("bug");
  const { run, letters } = await setUp([record(7)], { sink: { replay: () => Promise.reject(bug) } });
  await expect(run()).rejects.toBe(bug);
  expect(letters.records).toHaveLength(1);
});

test("counts dead letters with only a key and of unknown topics, and does not change them", async () => {
  const { run, letters, results } = await setUp([record(7, { topic: "shop.shop.gone" })]);
  const headers = { "__connect.errors.topic": Buffer.from("shop.shop.products") };
  letters.append({ key: Buffer.from("key"), value: null, headers });
  letters.append({ key: null, value: Buffer.from("?"), headers: {} });
  expect(await run()).toEqual({ replayed: 0, superseded: 0, failed: 0, needsSnapshot: 1, unknownTopic: 2 });
  expect(results).toEqual([
    "shop.shop.gone/1/7 unknownTopic",
    "shop.dlq/0/1 needsSnapshot",
    "shop.dlq/0/2 unknownTopic",
  ]);
  expect(letters.records).toHaveLength(3);
});

test("does nothing without dead letters", async () => {
  const { run } = await setUp([]);
  expect(await run()).toEqual({ replayed: 0, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 });
});
