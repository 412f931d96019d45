import { MongoNetworkError, MongoParseError, MongoServerError, MongoServerSelectionError } from "mongodb";
import type { TopologyDescription } from "mongodb";
import { expect, test } from "vitest";
import { HeadraceError } from "../../../src/errors/error.ts";
import { isCursorLost, isSnapshotGone, mongoError } from "../../../src/producers/mongodb/errors.ts";

function serverError(code: number, fields: object = {}): MongoServerError {
  return new MongoServerError({ code, errmsg: "secret", ...fields });
}

test.each([
  [6, "MONGODB_UNAVAILABLE", "retryable"],
  [189, "MONGODB_UNAVAILABLE", "retryable"],
  [10107, "MONGODB_UNAVAILABLE", "retryable"],
  [11602, "MONGODB_UNAVAILABLE", "retryable"],
  [43, "MONGODB_UNAVAILABLE", "retryable"],
  [246, "MONGODB_UNAVAILABLE", "retryable"],
  [175, "MONGODB_UNAVAILABLE", "retryable"],
  [249, "MONGODB_UNAVAILABLE", "retryable"],
  [13388, "MONGODB_UNAVAILABLE", "retryable"],
  [286, "STREAM_LOST", "retryable"],
  [280, "STREAM_LOST", "retryable"],
  [260, "STREAM_LOST", "retryable"],
  [136, "STREAM_LOST", "retryable"],
  [13, "MONGODB_FORBIDDEN", "fatal"],
  [18, "MONGODB_LOGIN_FAILED", "fatal"],
  [391, "MONGODB_LOGIN_FAILED", "fatal"],
  [40573, "MONGODB_NOT_REPLICA_SET", "fatal"],
  [10334, "EVENT_TOO_LARGE", "fatal"],
  [2, "MONGODB_UNEXPECTED", "fatal"],
])("error %i of the server is %s, %s", (code, expected, kind) => {
  const cause = serverError(code);
  expect(mongoError(cause, "testing")).toMatchObject({ code: expected, kind, cause });
});

test("a network failure and a missing primary are retryable, other errors of the driver are not", () => {
  const description = { type: "Unknown", servers: new Map() } as unknown as TopologyDescription;
  expect(mongoError(new MongoNetworkError("reset"), "testing").kind).toBe("retryable");
  expect(mongoError(new MongoServerSelectionError("none", description), "testing").kind).toBe("retryable");
  expect(mongoError(new MongoParseError("wrong"), "testing").kind).toBe("fatal");
  expect(mongoError(new TypeError("a bug"), "testing").kind).toBe("fatal");
});

test("Node's own error for a connection that breaks during a large request is retryable", () => {
  const cause = Object.assign(new Error("write ECONNRESET"), { code: "ECONNRESET", syscall: "write" });
  expect(mongoError(cause, "testing")).toMatchObject({ code: "MONGODB_UNAVAILABLE", kind: "retryable", cause });
});

test("the labels of server and driver decide if the code is unknown", () => {
  expect(mongoError(serverError(1234, { errorLabels: ["SystemOverloadedError"] }), "testing").kind).toBe("retryable");
  expect(mongoError(serverError(1234, { errorLabels: ["NonResumableChangeStreamError"] }), "testing").code).toBe(
    "STREAM_LOST",
  );
});

test("an error of Headrace is not changed", () => {
  const error = new HeadraceError("FENCED", { message: "a" });
  expect(mongoError(error, "testing")).toBe(error);
});

test("the driver's message, which may hold a value, is not in the message", () => {
  expect(mongoError(serverError(2, { codeName: "BadValue" }), "testing").message).toBe(
    "MongoDB failed while testing: BadValue",
  );
});

test("a lost cursor and a time that cannot be read any more are different", () => {
  expect([43, 175, 237, 246].map((code) => isCursorLost(mongoError(serverError(code), "testing")))).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect([239, 246, 43].map((code) => isSnapshotGone(mongoError(serverError(code), "testing")))).toEqual([
    true,
    true,
    false,
  ]);
});
