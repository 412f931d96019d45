import { expect, test } from "vitest";
import { historyLost, lostRecords } from "../../../src/consumers/batches/log-bounds.ts";

const partition = { topic: "shop.shop.products", partition: 3 };
const bounds = { low: 10n, high: 20n };

test.each([10n, 15n, 20n])("offset %s is within the log", (offset) => {
  expect(lostRecords(partition, offset, bounds, null)).toBeNull();
});

test("records below the log's start are lost", () => {
  const lost = { ...partition, storedOffset: 9n, logStart: 10n };
  expect(lostRecords({ ...partition }, 9n, bounds, null)).toEqual(lost);
  expect(historyLost(lost)).toMatchObject({
    code: "HISTORY_LOST_IN_KAFKA",
    kind: "fatal",
    message: expect.stringContaining("begins at offset 10") as string,
    remedy: expect.stringContaining("kafka.onHistoryLost") as string,
  });
});

test("an offset behind the log's end: the topic was created again, and the error says what to do", () => {
  const check = () => lostRecords(partition, 21n, bounds, null);
  expect(check).toThrow(
    expect.objectContaining({
      code: "TOPIC_RECREATED",
      kind: "fatal",
      remedy: expect.stringContaining(
        "UPDATE headrace.progress SET next_offset = 10 WHERE topic = 'shop.shop.products' AND partition = 3;",
      ) as string,
    }),
  );
});
