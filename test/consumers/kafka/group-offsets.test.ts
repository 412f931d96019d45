import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { GroupOffsets } from "../../../src/consumers/kafka/group-offsets.ts";
import { silentLogger } from "../../producers/mongodb/source-collector.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const at = (partition: number, offset: bigint) => ({ topic: "things", partition, offset });

function recorded(commit: () => Promise<void> = () => Promise.resolve()) {
  const commits: unknown[] = [];
  const commitOffsets = (offsets: unknown) => {
    commits.push(offsets);
    return commit();
  };
  return { commits, offsets: new GroupOffsets({ commitOffsets }, silentLogger) };
}

test("the newest offset of each partition is committed, all together and within a second", async () => {
  const { commits, offsets } = recorded();
  offsets.moved(at(0, 5n));
  offsets.moved(at(1, 7n));
  offsets.moved(at(0, 9n));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(commits).toEqual([
    [
      { topic: "things", partition: 0, offset: "9" },
      { topic: "things", partition: 1, offset: "7" },
    ],
  ]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(commits).toHaveLength(1);
});

test("offsets of a failed commit are in the next commit, unless there are newer ones", async () => {
  const failures = [new Error("rebalancing")];
  const { commits, offsets } = recorded(async () => {
    const failure = failures.shift();
    if (failure !== undefined) {
      offsets.moved(at(1, 8n));
      throw failure;
    }
  });
  offsets.moved(at(0, 5n));
  offsets.moved(at(1, 7n));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(commits.at(-1)).toEqual([
    { topic: "things", partition: 1, offset: "8" },
    { topic: "things", partition: 0, offset: "5" },
  ]);
});

test("nothing is committed after closing, even if a commit fails only then", async () => {
  const failing = Promise.withResolvers<void>();
  const { commits, offsets } = recorded(() => failing.promise);
  offsets.moved(at(0, 5n));
  await vi.advanceTimersByTimeAsync(1_000);
  offsets.close();
  failing.reject(new Error("the connection was cut"));
  await vi.advanceTimersByTimeAsync(10_000);
  offsets.moved(at(0, 6n));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(commits).toHaveLength(1);
});
