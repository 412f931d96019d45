import { Type } from "avsc";
import { beforeEach, expect, test } from "vitest";
import { keyOfDeadLetter } from "../../src/consumers/dead-letters/key.ts";
import type { Failure, LogRecord } from "../../src/consumers/ports.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { deadLetterHeaders } from "../../src/schemas/dead-letter.ts";
import type { SchemaRegistry } from "../../src/schemas/registry/registry.ts";
import type { Finding } from "../../src/verify/compare-rows.ts";
import { openDeadLetters } from "../../src/verify/open-dead-letters.ts";
import { MemoryDeadLetters, MemoryOutcomes } from "../consumers/dead-letters/memory-dead-letters.ts";

const topic = "shop.shop.cities";
const keyType = Type.forSchema({ type: "record", name: "Key", fields: [{ name: "_id", type: "string" }] });
const schema = { id: 7, definition: undefined, type: keyType };
const registry: SchemaRegistry = {
  register: () => Promise.reject(new Error("not here")),
  latest: () => Promise.resolve(schema),
  schema: () => Promise.resolve(schema),
  cached: () => schema,
};

let letters: MemoryDeadLetters;
let outcomes: MemoryOutcomes;

beforeEach(() => {
  letters = new MemoryDeadLetters();
  outcomes = new MemoryOutcomes();
});

function record(of: string, offset: bigint, key: string): LogRecord {
  const header = Buffer.from([0, 0, 0, 0, schema.id]);
  const bytes = Buffer.concat([header, keyType.toBuffer({ _id: key })]);
  return { topic: of, partition: 0, offset, key: bytes, value: null, headers: {}, timestampMs: 0 };
}

const failure: Failure = {
  error: new HeadraceError("VALUE_REFUSED", { message: "refused" }),
  stage: "TASK_PUT",
  table: null,
  attempts: 1,
};

/** A dead letter as the producer writes it: without an origin. */
function byProducer(headers: Readonly<Record<string, string>>): void {
  const none = {
    partition: null,
    offset: null,
    connectorName: null,
    taskId: null,
    stage: "KEY_CONVERTER",
    className: null,
    exceptionClass: null,
    exceptionMessage: null,
    exceptionStacktrace: null,
    code: "KEY_INVALID",
    sqlstate: null,
    table: null,
    attempts: 1,
    version: null,
    firstOffset: null,
    failedAt: null,
  };
  const all = Object.entries({ ...deadLetterHeaders({ ...none, topic }), ...headers });
  letters.append({ key: null, value: null, headers: Object.fromEntries(all.map(([n, v]) => [n, Buffer.from(v)])) });
}

async function open(...findings: readonly (readonly [string, Finding])[]): Promise<string[]> {
  const signal = new AbortController().signal;
  const keyOf = (record: LogRecord): Promise<string | null> => keyOfDeadLetter(registry, record);
  const options = {
    reader: letters,
    outcomes,
    keyOf,
    archive: { read: () => Promise.resolve([]) },
    tableOf: () => undefined,
    presentTopicIds: () => Promise.resolve(new Map()),
    topic,
    signal,
  };
  return [...(await openDeadLetters(new Map(findings), options))];
}

test("finds the keys that have a dead letter of their topic", async () => {
  await letters.write(record(topic, 1n, "a"), failure);
  await letters.write(record("shop.shop.movies", 1n, "b"), failure);
  await letters.write(record(topic, 2n, "c"), failure);
  const missing: Finding = { kind: "missing" };
  expect(await open(["a", missing], ["b", missing], ["d", { kind: "extra" }])).toEqual(["a"]);
});

test("a closed dead letter does not count, but a later one with the same key does", async () => {
  await letters.write(record(topic, 1n, "a"), failure);
  await letters.write(record(topic, 2n, "b"), failure);
  await letters.write(record(topic, 3n, "b"), failure);
  outcomes.closed.set(`${topic}/0/1`, "discarded");
  outcomes.closed.set(`${topic}/0/2`, "superseded");
  const different: Finding = { kind: "different", columns: ["x"] };
  expect(await open(["a", different], ["b", different])).toEqual(["b"]);
});

test("an _id that cannot be a key is found by the key header of its dead letter", async () => {
  byProducer({ "headrace.key": '"one"' });
  const keyless: Finding = { kind: "missing", isKeyless: true };
  expect(await open(['"one"', keyless], ['"two"', keyless])).toEqual(['"one"']);
});

test("a dead letter without a readable key counts for every _id that cannot be a key", async () => {
  byProducer({});
  const keyless: Finding = { kind: "missing", isKeyless: true };
  expect(await open(['"a\\u0000"', keyless], ["b", { kind: "missing" }])).toEqual(['"a\\u0000"']);
  outcomes.closed.set("shop.dlq/0/0", "discarded");
  expect(await open(['"a\\u0000"', keyless])).toEqual([]);
});
