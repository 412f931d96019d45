import { expect, test } from "vitest";
import { checkStartOffset } from "../../src/consumers/log-bounds.ts";
import type { HeadraceError } from "../../src/runtime/errors.ts";

const partition = { topic: "shop.shop.products", partition: 3 };
const bounds = { low: 10n, high: 20n };

function check(offset: bigint): HeadraceError | undefined {
  try {
    checkStartOffset(partition, offset, bounds);
    return undefined;
  } catch (error) {
    return error as HeadraceError;
  }
}

test.each([10n, 15n, 20n])("offset %s lies within the log", (offset) => {
  expect(check(offset)).toBeUndefined();
});

test("below the log's start records are lost, and the error says how to go on", () => {
  const error = check(9n);
  expect(error).toMatchObject({ code: "HISTORY_LOST_IN_KAFKA", kind: "fatal" });
  expect(error?.message).toContain("begins at offset 10");
  expect(error?.remedy).toContain(
    "UPDATE headrace.progress SET next_offset = 10 WHERE topic = 'shop.shop.products' AND partition = 3;",
  );
});

test("beyond the log's end the topic is another one", () => {
  expect(check(21n)).toMatchObject({ code: "TOPIC_RECREATED", kind: "fatal" });
});
