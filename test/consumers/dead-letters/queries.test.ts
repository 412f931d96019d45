import { describe, expect, test } from "vitest";
import { discardDeadLetters, listDeadLetters, showDeadLetter } from "../../../src/consumers/dead-letters/queries.ts";
import type { DeadLetterFilter } from "../../../src/consumers/dead-letters/queries.ts";
import type { Failure, LogRecord } from "../../../src/consumers/ports.ts";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import { MemoryDeadLetters, MemoryOutcomes } from "./memory-dead-letters.ts";

const signal = new AbortController().signal;
const keyOf = ({ key }: LogRecord) => Promise.resolve(key === null ? null : key.toString());

function setUp() {
  const letters = new MemoryDeadLetters();
  const outcomes = new MemoryOutcomes();
  const sources = {
    reader: letters,
    outcomes,
    keyOf,
    archive: { read: () => Promise.resolve([]) },
    tableOf: () => undefined,
    presentTopicIds: () => Promise.resolve(new Map()),
  };
  return {
    letters,
    outcomes,
    sources,
    list: (filter: DeadLetterFilter = {}) => listDeadLetters(sources, filter, { signal }),
  };
}

function record(offset: number, more: Partial<LogRecord> = {}): LogRecord {
  return {
    topic: "shop.shop.products",
    partition: 0,
    offset: BigInt(offset),
    key: Buffer.from(`key ${offset}`),
    value: Buffer.from(`value ${offset}`),
    headers: {},
    timestampMs: 0,
    ...more,
  };
}

function failure(code: ErrorCode, more: Partial<Failure> & { sqlstate?: string } = {}): Failure {
  const { sqlstate, ...fields } = more;
  const details = sqlstate === undefined ? {} : { sqlstate };
  const error = new HeadraceError(code, { message: `${code} happened`, details });
  return { error, stage: "TASK_PUT", table: { schema: "public", table: "products" }, attempts: 1, ...fields };
}

const ids = (found: readonly { id: string }[]) => found.map(({ id }) => id);

describe("list", () => {
  test("shows the newest dead letter of each origin, and no closed ones", async () => {
    const { letters, outcomes, list } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED"));
    await letters.write(record(2), failure("CONSTRAINT_VIOLATED"));
    await letters.write(record(3), failure("LIMIT_EXCEEDED"));
    await letters.write(record(1), failure("TRIGGER_REFUSED", { attempts: 2 }));
    outcomes.closed.set("shop.shop.products/0/3", "replayed");
    const found = await list();
    expect(ids(found)).toEqual(["shop.shop.products/0/2", "shop.shop.products/0/1"]);
    expect(found[1]).toMatchObject({ attempts: 2, info: { code: "TRIGGER_REFUSED" }, needsSnapshot: false });
  });

  test("a dead letter that the consumer wrote again after a crash does not hide a later attempt", async () => {
    const { letters, list } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED", { attempts: 2 }));
    await letters.write(record(1), failure("VALUE_REFUSED", { attempts: 1 }));
    expect(await list()).toMatchObject([{ attempts: 2, place: { offset: 0n } }]);
  });

  test("finds a dead letter by its last error only", async () => {
    const { letters, list } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED"));
    await letters.write(record(1), failure("CONSTRAINT_VIOLATED", { attempts: 2 }));
    expect(await list({ error: "VALUE_REFUSED" })).toEqual([]);
    expect(await list({ error: "CONSTRAINT_VIOLATED" })).toHaveLength(1);
  });

  test("filters by id, table, error and key", async () => {
    const { letters, list } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED", { sqlstate: "22003" }));
    await letters.write(record(2), failure("CONSTRAINT_VIOLATED", { table: { schema: "archive", table: "orders" } }));
    const first = ["shop.shop.products/0/1"];
    const second = ["shop.shop.products/0/2"];
    expect(ids(await list({ ids: ["shop.shop.products/0/2", "other/0/0"] }))).toEqual(second);
    expect(ids(await list({ table: "public.products" }))).toEqual(first);
    expect(ids(await list({ table: "orders" }))).toEqual(second);
    expect(ids(await list({ table: "public.orders" }))).toEqual([]);
    expect(ids(await list({ error: "VALUE_REFUSED" }))).toEqual(first);
    expect(ids(await list({ error: "22003" }))).toEqual(first);
    expect(ids(await list({ key: "key 2" }))).toEqual(second);
    expect(ids(await list({ key: "key 2", table: "products" }))).toEqual([]);
  });

  test("filters by the time of the failure", async () => {
    const { letters, list } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED"));
    const [letter] = await list();
    const at = letter?.failedAt ?? new Date(Number.NaN);
    const later = new Date(at.getTime() + 1);
    expect(await list({ since: at, until: later })).toHaveLength(1);
    expect(await list({ since: later })).toEqual([]);
    expect(await list({ until: at })).toEqual([]);
  });

  test("says which need a snapshot, because the producer wrote only their key", async () => {
    const { letters, list } = setUp();
    const headers = { "__connect.errors.topic": Buffer.from("shop.shop.products") };
    letters.append({ key: Buffer.from("key"), value: null, headers });
    expect(await list()).toMatchObject([
      { id: "shop.dlq/0/0", topic: "shop.shop.products", needsSnapshot: true, attempts: 1 },
    ]);
  });

  test("shows records of other programs under their own offset", async () => {
    const { letters, list } = setUp();
    letters.append({ key: null, value: Buffer.from("?"), headers: {} });
    expect(await list()).toMatchObject([{ id: "shop.dlq/0/0", topic: null, needsSnapshot: false }]);
  });
});

describe("show", () => {
  test("returns the newest record with its history and outcome", async () => {
    const { letters, outcomes, sources } = setUp();
    await letters.write(record(1), failure("VALUE_REFUSED"));
    await letters.write(record(2), failure("LIMIT_EXCEEDED"));
    await letters.write(record(1), failure("CONSTRAINT_VIOLATED", { attempts: 2 }));
    const id = "shop.shop.products/0/1";
    const open = await showDeadLetter(sources, id, { signal });
    expect(open?.record.value?.toString()).toBe("value 1");
    expect(open?.letter.info.code).toBe("CONSTRAINT_VIOLATED");
    expect(open?.history.map(({ info }) => info.code)).toEqual(["VALUE_REFUSED", "CONSTRAINT_VIOLATED"]);
    expect(open?.outcome).toBeNull();
    outcomes.closed.set(id, "superseded");
    expect((await showDeadLetter(sources, id, { signal }))?.outcome).toBe("superseded");
  });

  test("returns null for an unknown id", async () => {
    expect(await showDeadLetter(setUp().sources, "shop.shop.products/0/1", { signal })).toBeNull();
  });
});

test("discard closes the matching dead letters, with their table", async () => {
  const { letters, outcomes, sources, list } = setUp();
  await letters.write(record(1), failure("VALUE_REFUSED", { attempts: 2 }));
  await letters.write(record(2), failure("CONSTRAINT_VIOLATED"));
  letters.append({ key: null, value: null, headers: {} });
  const table = { schema: "public", table: "products" };
  const tableOf = (topic: string) => (topic === "shop.shop.products" ? table : undefined);
  expect(ids(await discardDeadLetters({ ...sources, tableOf }, { error: "VALUE_REFUSED" }, { signal }))).toEqual([
    "shop.shop.products/0/1",
  ]);
  expect(ids(await list())).toEqual(["shop.shop.products/0/2", "shop.dlq/0/2"]);
  await discardDeadLetters({ ...sources, tableOf }, { ids: ["shop.dlq/0/2"] }, { signal });
  expect(outcomes.discards).toEqual([
    { offset: 1n, attempts: 2, table },
    { offset: 2n, attempts: 1, table: null },
  ]);
});
