import { expect, test } from "vitest";
import { ReadAhead } from "../../../src/producers/order/read-ahead.ts";

async function* count(log: string[]): AsyncGenerator<number, void, void> {
  try {
    for (let n = 1; n <= 3; n++) {
      log.push(`read ${n}`);
      yield n;
    }
  } finally {
    log.push("closed");
  }
}

test("the next item is read once the one before is taken", async () => {
  const log: string[] = [];
  const items = new ReadAhead(count(log));
  expect(log).toEqual([]);
  expect(await items.peek()).toEqual({ value: 1, done: false });
  expect(await items.peek()).toEqual({ value: 1, done: false });
  expect(log).toEqual(["read 1"]);
  items.take();
  await items.peek();
  expect(log).toEqual(["read 1", "read 2"]);
});

test("closing waits for a read that is under way, and ends the sequence", async () => {
  const log: string[] = [];
  const items = new ReadAhead(count(log));
  void items.peek();
  await items.close();
  expect(log).toEqual(["read 1", "closed"]);
});

test("an error is for whoever asks, and closing after it is no failure", async () => {
  const failure = new Error("gone");
  const items = new ReadAhead(
    // oxlint-disable-next-line require-yield
    (async function* (): AsyncGenerator<number, void, void> {
      throw failure;
    })(),
  );
  await expect(items.peek()).rejects.toBe(failure);
  await items.close();
});
