import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deadLetterHeaders, isDeadLetterHeader, KEY_HEADER, parseDeadLetter } from "../../src/schemas/dead-letter.ts";
import type { DeadLetterInfo } from "../../src/schemas/dead-letter.ts";

const count = fc.nat();
const long = fc.bigInt(0n, 2n ** 63n - 1n);
const text = fc.string({ unit: "grapheme" });

const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const info: fc.Arbitrary<DeadLetterInfo> = fc.record({
  topic: nullable(text),
  partition: nullable(count),
  offset: nullable(long),
  topicId: nullable(text),
  connectorName: nullable(text),
  taskId: nullable(text),
  stage: nullable(text),
  className: nullable(text),
  exceptionClass: nullable(text),
  exceptionMessage: nullable(text),
  exceptionStacktrace: nullable(text),
  code: nullable(text),
  sqlstate: nullable(text),
  table: nullable(text),
  attempts: nullable(count),
  version: nullable(long),
  unusableId: nullable(text),
  firstOffset: nullable(long),
  failedAt: nullable(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") })),
});

const NOTHING = parseDeadLetter({});

describe("a dead letter's headers", () => {
  it("are read as they were written, from text and from bytes", () => {
    fc.assert(
      fc.property(info, (letter) => {
        const headers = deadLetterHeaders(letter);
        expect(parseDeadLetter(headers)).toEqual(letter);
        const asBytes = Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]);
        expect(parseDeadLetter(Object.fromEntries(asBytes))).toEqual(letter);
      }),
    );
  });

  it("are told from the record's own headers", () => {
    fc.assert(fc.property(info, (letter) => Object.keys(deadLetterHeaders(letter)).every(isDeadLetterHeader)));
    expect(isDeadLetterHeader(KEY_HEADER)).toBe(true);
    expect(["trace", "headrace", "__connect"].some(isDeadLetterHeader)).toBe(false);
  });

  it("are left out where a field is missing", () => {
    expect(deadLetterHeaders({ attempts: 2, code: null })).toEqual({ "headrace.attempts": "2" });
  });

  it("have Kafka Connect's names where it has one", () => {
    const headers = deadLetterHeaders({
      topic: "shop.store.products",
      partition: 3,
      offset: 9_007_199_254_740_993n,
      connectorName: "shop",
      taskId: "0",
      stage: "TASK_PUT",
      className: "headrace.consumer",
      exceptionClass: "HeadraceError",
      exceptionMessage: "numeric field overflow",
      exceptionStacktrace: "HeadraceError: …",
      code: "ROW_REFUSED",
      sqlstate: "22003",
      table: "public.products",
      attempts: 2,
      version: 7n,
      firstOffset: 3n,
      failedAt: new Date(0),
    });
    expect(headers).toEqual({
      "__connect.errors.topic": "shop.store.products",
      "__connect.errors.partition": "3",
      "__connect.errors.offset": "9007199254740993",
      "__connect.errors.connector.name": "shop",
      "__connect.errors.task.id": "0",
      "__connect.errors.stage": "TASK_PUT",
      "__connect.errors.class.name": "headrace.consumer",
      "__connect.errors.exception.class.name": "HeadraceError",
      "__connect.errors.exception.message": "numeric field overflow",
      "__connect.errors.exception.stacktrace": "HeadraceError: …",
      "headrace.code": "ROW_REFUSED",
      "headrace.sqlstate": "22003",
      "headrace.table": "public.products",
      "headrace.attempts": "2",
      "headrace.version": "7",
      "headrace.first_offset": "3",
      "headrace.failed_at": "1970-01-01T00:00:00.000Z",
    });
  });

  it("may be missing, foreign or senseless", () => {
    expect(Object.values(NOTHING)).toEqual(Object.values(NOTHING).map(() => null));
    expect(
      parseDeadLetter({
        other: "x",
        "__connect.errors.partition": "three",
        "__connect.errors.offset": "-1",
        "headrace.attempts": "",
        "headrace.version": "1.5",
        "headrace.failed_at": "yesterday",
        "headrace.code": undefined,
      }),
    ).toEqual(NOTHING);
  });

  it("count once where there are several of a name: the newest", () => {
    const letter = parseDeadLetter({ "__connect.errors.topic": ["old", Buffer.from("new")], "headrace.code": [] });
    expect(letter).toEqual({ ...NOTHING, topic: "new" });
  });
});
