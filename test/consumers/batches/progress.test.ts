import { expect, test } from "vitest";
import { reachTarget } from "../../../src/consumers/batches/progress.ts";

const ends = [
  { topic: "t", partition: 0, offset: 5n },
  { topic: "t", partition: 1, offset: 0n },
];

test("resolves when every partition has reached its target, and reads only those that have not", async () => {
  const asked: number[][] = [];
  let offset = 3n;
  await reachTarget(
    Promise.resolve(ends),
    {
      admit: () => Promise.resolve(),
      read(partitions) {
        asked.push(partitions.map(({ partition }) => partition));
        return Promise.resolve(new Map([["t/0", offset++]]));
      },
    },
    new AbortController().signal,
  );
  expect(asked).toEqual([[0, 1], [0], [0]]);
});

test("the progress in a topic that was created again does not count", async () => {
  const stored = new Map([["t/0", 9n]]);
  const asked: number[] = [];
  const progress = {
    async admit(topics: readonly string[]) {
      expect(topics).toEqual(["t"]);
      await Promise.resolve();
      stored.set("t/0", 0n);
    },
    read() {
      asked.push(Number(stored.get("t/0")));
      const before = new Map(stored);
      stored.set("t/0", 5n);
      return Promise.resolve(before);
    },
  };
  await reachTarget(Promise.resolve(ends), progress, new AbortController().signal);
  expect(asked).toEqual([0, 5]);
});

test("resolves at once without partitions", async () => {
  const notAsked = () => Promise.reject(new Error("not asked"));
  await reachTarget(Promise.resolve([]), { admit: notAsked, read: notAsked }, new AbortController().signal);
});

test("an abort ends the wait, also before the target is known", async () => {
  const controller = new AbortController();
  const behind = { admit: () => Promise.resolve(), read: () => Promise.resolve(new Map([["t/0", 0n]])) };
  const waits = [
    reachTarget(new Promise(() => {}), behind, controller.signal),
    reachTarget(Promise.resolve(ends), behind, controller.signal),
  ];
  controller.abort(new Error("stop"));
  expect(await Promise.allSettled(waits)).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
});

test("throws the error of the target, of the admission, or of reading the progress", async () => {
  const { signal } = new AbortController();
  const failed = new Error("the producer failed");
  const admit = () => Promise.resolve();
  const read = () => Promise.resolve(new Map<string, bigint>());
  const fails = () => Promise.reject(failed);
  await expect(reachTarget(Promise.reject(failed), { admit, read }, signal)).rejects.toBe(failed);
  await expect(reachTarget(Promise.resolve(ends), { admit: fails, read }, signal)).rejects.toBe(failed);
  await expect(reachTarget(Promise.resolve(ends), { admit, read: fails }, signal)).rejects.toBe(failed);
});
