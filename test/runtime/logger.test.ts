import { describe, expect, test } from "vitest";
import { HeadraceError, withCode } from "../../src/errors/error.ts";
import { createLogger, describeError, logFatal, maskCredentials } from "../../src/runtime/logger.ts";
import type { Logger } from "../../src/runtime/logger.ts";

function capturing(): { logger: Logger; lines: () => Record<string, unknown>[]; text: () => string } {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  const logger = createLogger({ level: "debug", fields: { pipeline: "shop" }, destination });
  return { logger, lines: () => written.map((line) => JSON.parse(line)), text: () => written.join("") };
}

/** As pg throws it: its own code, and the row's values in message and detail. */
function postgresError(): Error {
  return Object.assign(new Error('invalid input syntax for type integer: "4111 1111 1111 1111"'), {
    code: "22P02",
    detail: "Key (card)=(4111 1111 1111 1111) already exists.",
  });
}

describe("createLogger", () => {
  test("writes one JSON object per line with level, time and the given fields", () => {
    const { logger, lines } = capturing();
    logger.info({ rows: 3 }, "applied");
    expect(lines()).toEqual([
      { level: "info", time: expect.stringMatching(/^\d{4}-.*Z$/), pipeline: "shop", rows: 3, msg: "applied" },
    ]);
  });

  test("masks credentials in URLs everywhere, and fields with names of secrets", () => {
    const { logger, text } = capturing();
    logger.info(
      { url: "mongodb://me:hunter2@db.example:27017/shop", sasl: { password: "hunter2" }, password: "hunter2" },
      "connected to postgres://me:hunter2@db.example/shop",
    );
    expect(text()).not.toContain("hunter2");
    expect(text()).toContain("mongodb://***@db.example:27017/shop");
    expect(text()).toContain("postgres://***@db.example/shop");
  });

  test("writes a fatal error as one line with code, remedy and the codes of its causes, without a driver's text", () => {
    const { logger, lines, text } = capturing();
    const error = new HeadraceError(
      "TABLE_DOES_NOT_FIT",
      { message: "the table refuses the row", remedy: "mend the table", details: { table: "products" } },
      postgresError(),
    );
    logFatal(logger, error);
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatchObject({
      level: "error",
      msg: "stopped by TABLE_DOES_NOT_FIT",
      err: {
        code: "TABLE_DOES_NOT_FIT",
        message: "the table refuses the row",
        remedy: "mend the table",
        details: { table: "products" },
        causes: [{ type: "Error", code: "22P02" }],
      },
    });
    expect(text().split("the table refuses the row")).toHaveLength(2);
    expect(text().split("mend the table")).toHaveLength(2);
    expect(text()).not.toContain("4111");
  });
});

describe("describeError", () => {
  test("shows where an error without a code came from", () => {
    expect(describeError(new TypeError("x is undefined"))).toMatchObject({
      type: "TypeError",
      message: "x is undefined",
      at: expect.arrayContaining([expect.stringContaining("logger.test.ts")]),
    });
  });

  test("shows where the cause of an unknown error came from", () => {
    expect(describeError(withCode(new TypeError("x is undefined")))).toMatchObject({
      code: "UNKNOWN_ERROR",
      message: "TypeError: x is undefined",
      remedy: expect.stringContaining("report it"),
      causes: [{ type: "TypeError" }],
      at: expect.arrayContaining([expect.stringContaining("logger.test.ts")]),
    });
  });

  test("keeps the message of the operating system's errors, which name only hosts and files", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), {
      code: "ECONNREFUSED",
      syscall: "connect",
    });
    const error = new HeadraceError("POSTGRES_UNAVAILABLE", { message: "down" }, refused);
    expect(describeError(error).causes).toEqual([
      { type: "Error", code: "ECONNREFUSED", message: "connect ECONNREFUSED 127.0.0.1:1" },
    ]);
  });

  test("handles circular causes, and values that are not an Error", () => {
    const first = new Error("first");
    first.cause = new Error("second", { cause: first });
    expect(describeError(first).causes).toHaveLength(2);
    expect(describeError("text")).toEqual({ type: "string", message: "text" });
  });
});

test("maskCredentials does not change anything but credentials", () => {
  const text = "http://localhost:8080/a and mail to me@example.org";
  expect(maskCredentials(text)).toBe(text);
});
