import { expect, test } from "vitest";
import { textLog } from "../../../src/cli/output/log-text.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import { createLogger } from "../../../src/runtime/logger.ts";

function logging() {
  const texts: string[] = [];
  const destination = textLog((text) => texts.push(text));
  return { texts, logger: createLogger({ level: "debug", fields: { pipeline: "shop" }, destination }) };
}

test("a warning says what happened, with the error and its remedy", () => {
  const { texts, logger } = logging();
  const err = new HeadraceError(
    "VALUE_REFUSED",
    { message: "PostgreSQL: 22P02.", remedy: "Change it." },
    new Error("x"),
  );
  logger.warn({ err, topic: "a.b", partition: 0, attempt: 3, delayMs: 5 }, "trying again");
  logger.error({ remedy: "Restart it." }, "stopped");
  logger.debug({ list: [1] }, "seen");
  expect(texts).toEqual([
    "warning: trying again (topic a.b, partition 0): VALUE_REFUSED: PostgreSQL: 22P02.\n  Change it.\n",
    "error: stopped\n  Restart it.\n",
    "debug: seen (list [1])\n",
  ]);
});

test("a repeated warning is written once, and no password", () => {
  const { texts, logger } = logging();
  for (const attempt of [1, 2, 3]) logger.warn({ attempt, url: "http://me:hunter2@h" }, "trying again");
  logger.warn({}, "other");
  logger.warn({}, "trying again");
  expect(texts).toEqual(["warning: trying again (url http://***@h)\n", "warning: other\n", "warning: trying again\n"]);
});

test("an error without a code, and values that JSON writes as objects", () => {
  const { texts, logger } = logging();
  logger.warn({ err: new Error("broken"), ends: { a: 1 } }, "lost");
  expect(texts).toEqual(['warning: lost (ends {"a":1}): broken\n']);
});
