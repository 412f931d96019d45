import { expect, test } from "vitest";
import { decodeRecords } from "../../../src/consumers/batches/decode-records.ts";
import type { LogRecord } from "../../../src/consumers/ports.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";

function record(offset: bigint, value: Buffer | null = Buffer.alloc(1)): LogRecord {
  return { topic: "t", partition: 0, offset, key: Buffer.alloc(1), value, headers: {}, timestampMs: 0 };
}

function change(version: bigint): Change {
  return {
    op: "d",
    rowSchema: { idType: "string", children: [], columns: [] },
    key: "",
    version,
    children: [],
    cells: null,
  };
}

const decode = (each: LogRecord) => (each.value === null ? null : change(each.offset));
const once = <T>(step: () => Promise<T>): Promise<T> => step();
const away = new HeadraceError("REGISTRY_UNAVAILABLE", { message: "away" });

test("keeps the order of records, and leaves Kafka tombstones out", async () => {
  const records = [record(1n), record(2n, null), record(3n)];
  for (const each of [decode, (one: LogRecord) => Promise.resolve(decode(one))]) {
    expect(await decodeRecords(records, each, once)).toEqual([
      { record: records[0], change: change(1n) },
      { record: records[2], change: change(3n) },
    ]);
  }
});

test("a record that cannot be decoded keeps its place, with Kafka Connect's name for the failed step", async () => {
  const unreadable = new HeadraceError("RECORD_UNDECODABLE", { message: "no Avro" });
  const noKey = new HeadraceError("KEY_UNDECODABLE", { message: "no key" });
  const decodeGood = (each: LogRecord) => {
    if (each.offset === 1n) return Promise.reject(unreadable);
    if (each.offset === 2n) throw noKey;
    return decode(each);
  };
  expect(await decodeRecords([record(1n), record(2n), record(3n)], decodeGood, once)).toMatchObject([
    { failure: { error: unreadable, stage: "VALUE_CONVERTER" } },
    { failure: { error: noKey, stage: "KEY_CONVERTER" } },
    { change: { version: 3n } },
  ]);
});

test("throws an error that the record did not cause", async () => {
  await expect(decodeRecords([record(1n)], () => Promise.reject(away), once)).rejects.toBe(away);
  const bug = new TypeError("bug");
  await expect(decodeRecords([record(1n)], () => Promise.reject(bug), once)).rejects.toBe(bug);
});

test("retries a record whose schema the registry cannot give yet", async () => {
  const tries: bigint[] = [];
  const decodeLater = (each: LogRecord) => {
    if (each.offset !== 2n) return decode(each);
    tries.push(each.offset);
    return tries.length < 3 ? Promise.reject(away) : Promise.resolve(decode(each));
  };
  const steps: unknown[] = [];
  const retrying = async <T>(step: () => Promise<T>): Promise<T> => {
    for (;;) {
      steps.push(step);
      try {
        return await step();
      } catch (error) {
        expect(error).toBe(away);
      }
    }
  };
  const decoded = await decodeRecords([record(1n), record(2n), record(3n)], decodeLater, retrying);
  expect(decoded).toMatchObject([1n, 2n, 3n].map((version) => ({ change: { version } })));
  expect(tries.length).toBe(3);
  expect(steps.length).toBe(3);
});

test("a stop does not wait for the registry, whose late error is ignored", async () => {
  const stopped = new Error("stopped");
  const stop = () => Promise.reject(stopped);
  await expect(decodeRecords([record(1n)], () => Promise.reject(away), stop)).rejects.toBe(stopped);
});
