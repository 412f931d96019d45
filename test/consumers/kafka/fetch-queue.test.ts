import { expect, test } from "vitest";
import { FetchQueue } from "../../../src/consumers/kafka/fetch-queue.ts";
import type { Fetched } from "../../../src/consumers/kafka/fetch-queue.ts";
import type { LogRecord } from "../../../src/consumers/ports.ts";

/** Records of the offsets from `first` up to, but not with, `next`, of a byte each. */
function fetched(partition: number, first: number, next: number): Fetched {
  const records = Array.from({ length: next - first }, (_, index): LogRecord => ({
    topic: "things",
    partition,
    offset: BigInt(first + index),
    key: null,
    value: null,
    headers: {},
    timestampMs: 0,
  }));
  return {
    topic: "things",
    partition,
    firstOffset: BigInt(first),
    nextOffset: BigInt(next),
    highWatermark: 100n,
    records,
    fetches: [{ nextOffset: BigInt(next), at: first }],
    bytes: records.length,
  };
}

/** A queue whose batches end when told to. */
function heldQueue() {
  const begun: Fetched[] = [];
  const ends: (() => void)[] = [];
  const queue = new FetchQueue((each) => {
    begun.push(each);
    return new Promise((resolve) => ends.push(resolve));
  });
  const endFirst = async (): Promise<void> => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  const spans = () => begun.map(({ firstOffset, nextOffset }) => [Number(firstOffset), Number(nextOffset)]);
  return { queue, begun, spans, endFirst };
}

test("batches of a partition that arrive during processing are joined to one, in order", async () => {
  const { queue, begun, spans, endFirst } = heldQueue();
  queue.push(fetched(0, 0, 2));
  queue.push(fetched(0, 2, 3));
  queue.push(fetched(0, 3, 5));
  expect(spans()).toEqual([[0, 2]]);
  await endFirst();
  expect(spans()).toEqual([
    [0, 2],
    [2, 5],
  ]);
  expect(begun[1]?.records.map(({ offset }) => offset)).toEqual([2n, 3n, 4n]);
  expect(begun[1]?.fetches.map(({ nextOffset }) => nextOffset)).toEqual([3n, 5n]);
  await endFirst();
  queue.push(fetched(0, 5, 6));
  expect(spans()).toHaveLength(3);
});

test("batches with a gap between them are not joined", async () => {
  const { queue, spans, endFirst } = heldQueue();
  queue.push(fetched(0, 0, 2));
  queue.push(fetched(0, 2, 3));
  queue.push(fetched(0, 7, 8));
  queue.push(fetched(0, 8, 9));
  await endFirst();
  await endFirst();
  expect(spans()).toEqual([
    [0, 2],
    [2, 3],
    [7, 9],
  ]);
});

test("partitions do not wait for each other", () => {
  const { queue, begun } = heldQueue();
  queue.push(fetched(0, 0, 2));
  queue.push(fetched(1, 0, 2));
  expect(begun.map(({ partition }) => partition)).toEqual([0, 1]);
});

test("dropped batches are not processed and free their bytes; the one in processing ends", async () => {
  const { queue, spans, endFirst } = heldQueue();
  queue.push(fetched(0, 0, 2));
  queue.push(fetched(0, 2, 9));
  queue.push(fetched(1, 0, 1));
  queue.drop("things/0");
  await queue.untilHolds(3);
  await endFirst();
  await endFirst();
  await queue.untilHolds(0);
  expect(spans()).toEqual([
    [0, 2],
    [0, 1],
  ]);
});

test("untilHolds waits until few enough bytes are held", async () => {
  const { queue, endFirst } = heldQueue();
  let hasRoom = false;
  queue.push(fetched(0, 0, 5));
  queue.push(fetched(1, 0, 5));
  const room = queue.untilHolds(5).then(() => (hasRoom = true));
  await new Promise(setImmediate);
  expect(hasRoom).toBe(false);
  await endFirst();
  await room;
  expect(hasRoom).toBe(true);
});

test("closing waits for the batch in processing, and nothing is accepted afterwards", async () => {
  const { queue, spans, endFirst } = heldQueue();
  queue.push(fetched(0, 0, 2));
  queue.push(fetched(0, 2, 3));
  let isClosed = false;
  const closed = queue.close().then(() => (isClosed = true));
  queue.push(fetched(1, 0, 2));
  await new Promise(setImmediate);
  expect(isClosed).toBe(false);
  await endFirst();
  await closed;
  expect(spans()).toEqual([[0, 2]]);
});
