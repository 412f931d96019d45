import { expect, test } from "vitest";
import { ReadAhead } from "../../../src/producers/order/read-ahead.ts";
import type { Endless } from "../../../src/producers/order/read-ahead.ts";

function counted(log: string[]): Endless<number> {
  let count = 0;
  return {
    next: async (maxWaitMs) => {
      log.push(`read ${++count}, waiting ${maxWaitMs} ms`);
      return count;
    },
    close: async () => void log.push("closed"),
  };
}

test("the next item is read as soon as the one before is taken", async () => {
  const log: string[] = [];
  const items = new ReadAhead(counted(log), 20);
  expect(await items.peek()).toBe(1);
  expect(await items.peek()).toBe(1);
  expect(log).toEqual(["read 1, waiting 20 ms"]);
  items.take(1_000);
  expect(log).toEqual(["read 1, waiting 20 ms", "read 2, waiting 1000 ms"]);
  expect(await items.peek()).toBe(2);
});

test("closing waits for a read in progress", async () => {
  const log: string[] = [];
  const reading = Promise.withResolvers<number>();
  const items = new ReadAhead({ ...counted(log), next: () => reading.promise.finally(() => log.push("read")) }, 20);
  const closing = items.close();
  reading.resolve(1);
  await closing;
  expect(log).toEqual(["read", "closed"]);
});

test("peek gives the error of a failed read, and closing after it succeeds", async () => {
  const failure = new Error("gone");
  const items = new ReadAhead({ ...counted([]), next: () => Promise.reject(failure) }, 20);
  await expect(items.peek()).rejects.toBe(failure);
  await items.close();
});

test("a read that is put off begins later, and never if the sequence is closed before", async () => {
  const log: string[] = [];
  const items = new ReadAhead(counted(log), 20);
  await items.peek();
  items.take(1_000, 20);
  await Promise.resolve();
  expect(log).toEqual(["read 1, waiting 20 ms"]);
  expect(await items.peek()).toBe(2);
  items.take(1_000, 60_000);
  await items.close();
  expect(log).toEqual(["read 1, waiting 20 ms", "read 2, waiting 1000 ms", "closed"]);
});
