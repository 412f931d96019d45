import { expect, test } from "vitest";
import { headersOfDeadLetter } from "../../../src/consumers/dead-letters/headers.ts";
import { HeadraceError } from "../../../src/errors/error.ts";

test("a dead letter keeps the record's own headers, whatever their names", () => {
  const own = { ["__proto__"]: Buffer.from("a"), constructor: Buffer.from("b") };
  const record = { topic: "t", partition: 0, offset: 1n, key: null, value: null, headers: own, timestampMs: 0 };
  const error = new HeadraceError("VALUE_REFUSED", { message: "no" });
  const failure = { error, stage: "TASK_PUT" as const, table: null, attempts: 1 };
  const headers = headersOfDeadLetter(record, failure, { pipeline: "p", taskId: "1" }, new Date());
  expect(Object.keys(headers)).toEqual(expect.arrayContaining(["__proto__", "constructor"]));
  expect(new Map(Object.entries(headers)).get("__proto__")).toEqual(Buffer.from("a"));
});
