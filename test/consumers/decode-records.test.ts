import { expect, test } from "vitest";
import { decodeRecords } from "../../src/consumers/decode-records.ts";
import type { LogRecord } from "../../src/consumers/ports.ts";
import { ContractError } from "../../src/schemas/contract-error.ts";
import type { Change } from "../../src/schemas/row-schema.ts";

function record(offset: bigint, value: Buffer | null = Buffer.alloc(1)): LogRecord {
  return { topic: "t", partition: 0, offset, key: Buffer.alloc(1), value, headers: {}, timestampMs: 0 };
}

function change(version: bigint): Change {
  return { op: "d", rowSchema: { idType: "string", columns: [] }, key: "", version, cells: null };
}

const decode = (each: LogRecord) => Promise.resolve(each.value === null ? null : change(each.offset));

test("records keep their order, Kafka tombstones are left out", async () => {
  const records = [record(1n), record(2n, null), record(3n)];
  expect(await decodeRecords(records, decode)).toEqual([
    { record: records[0], change: change(1n) },
    { record: records[2], change: change(3n) },
  ]);
});

test("a record that cannot be read keeps its place, with Connect's name of the step", async () => {
  const unreadable = new ContractError("RECORD_UNDECODABLE", { message: "no Avro" });
  const noKey = new ContractError("KEY_UNDECODABLE", { message: "no key" });
  const decoded = await decodeRecords([record(1n), record(2n), record(3n)], (each) => {
    if (each.offset === 1n) return Promise.reject(unreadable);
    return each.offset === 2n ? Promise.reject(noKey) : decode(each);
  });
  expect(decoded).toMatchObject([
    { failure: { error: unreadable, stage: "VALUE_CONVERTER" } },
    { failure: { error: noKey, stage: "KEY_CONVERTER" } },
    { change: { version: 3n } },
  ]);
});

test("a failure that is not the record's is thrown", async () => {
  const away = new ContractError("REGISTRY_UNAVAILABLE", { message: "away" });
  await expect(decodeRecords([record(1n)], () => Promise.reject(away))).rejects.toBe(away);
  const bug = new TypeError("bug");
  await expect(decodeRecords([record(1n)], () => Promise.reject(bug))).rejects.toBe(bug);
});
