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
    (partitions) => {
      asked.push(partitions.map(({ partition }) => partition));
      return Promise.resolve(new Map([["t/0", offset++]]));
    },
    new AbortController().signal,
  );
  expect(asked).toEqual([[0, 1], [0], [0]]);
});

test("resolves at once without partitions", async () => {
  const read = () => Promise.reject(new Error("not asked"));
  await reachTarget(Promise.resolve([]), read, new AbortController().signal);
});

test("an abort ends the wait, also before the target is known", async () => {
  const controller = new AbortController();
  const behind = () => Promise.resolve(new Map([["t/0", 0n]]));
  const waits = [
    reachTarget(new Promise(() => {}), behind, controller.signal),
    reachTarget(Promise.resolve(ends), behind, controller.signal),
  ];
  controller.abort(new Error("stop"));
  expect(await Promise.allSettled(waits)).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
});

test("throws the error of the target, or of reading the progress", async () => {
  const { signal } = new AbortController();
  const failed = new Error("the producer failed");
  await expect(reachTarget(Promise.reject(failed), () => Promise.resolve(new Map()), signal)).rejects.toBe(failed);
  await expect(reachTarget(Promise.resolve(ends), () => Promise.reject(failed), signal)).rejects.toBe(failed);
});
