import { describe, expect, test } from "vitest";
import { lagOf } from "../../src/consumers/batches/progress.ts";
import { waitUntilCaughtUp } from "../../src/operations/pipeline-reader.ts";
import type { PipelineReader } from "../../src/operations/pipeline-reader.ts";
import { newSnapshot } from "../../src/schemas/change-event.ts";
import type { Position, SnapshotState } from "../../src/schemas/change-event.ts";

const END = { topic: "t", partition: 0, offset: 10n };
const OPTIONS = { clusterTime: 5n, timeoutMs: 10_000, signal: new AbortController().signal };

function at(clusterTime: bigint, snapshot: SnapshotState = { state: "done", at: 1n }): Position {
  const signals = { offset: 0n, after: null };
  return {
    resumeToken: null,
    clusterTime,
    isWhole: true,
    cluster: "rs0",
    horizon: 0n,
    snapshots: new Map([["things", snapshot]]),
    signals,
  };
}

/** A pipeline that moves one state further with each read, up to the last one. `looks` has the order of the reads. */
function pipeline(positions: readonly (Position | null)[], offsets: readonly bigint[], signalsEnd = 0n) {
  const looks: string[] = [];
  const next = <T>(states: readonly T[], what: string): T => {
    const seen = looks.filter((look) => look === what).length;
    looks.push(what);
    return states[Math.min(seen, states.length - 1)] as T;
  };
  const reader: PipelineReader = {
    position: async () => null,
    settledPosition: async () => next(positions, "position"),
    ends: async () => next([[END]], "ends"),
    signalsEnd: async () => signalsEnd,
    progress: async () => new Map([["t/0", next(offsets, "progress")]]),
    oldMappings: () => [],
    tables: async () => [],
    producer: async () => ({ kind: "same" }),
    close: async () => {},
  };
  return { reader, looks };
}

describe("waitUntilCaughtUp", () => {
  test("waits for the producer's position, then for the consumers to reach the topics' ends", async () => {
    const { reader, looks } = pipeline([null, at(4n), at(5n)], [9n, 10n]);
    await waitUntilCaughtUp(reader, OPTIONS);
    expect(looks).toEqual(["position", "position", "position", "ends", "progress", "progress"]);
  });

  test("waits until all events of the time itself are published", async () => {
    const { reader, looks } = pipeline([{ ...at(5n), isWhole: false }, at(5n)], [10n]);
    await waitUntilCaughtUp(reader, OPTIONS);
    expect(looks).toEqual(["position", "position", "ends", "progress"]);
  });

  test("waits for a collection whose snapshot the producer has not started", async () => {
    const { reader } = pipeline([at(9n)], [10n]);
    const waiting = waitUntilCaughtUp(reader, { ...OPTIONS, collections: ["things", "others"], timeoutMs: 0 });
    await expect(waiting).rejects.toMatchObject({ code: "CATCH_UP_TIMEOUT" });
  });

  test("waits until the producer has carried out the signals, then checks everything again", async () => {
    const carriedOut = { ...at(9n), signals: { offset: 1n, after: null } };
    const { reader, looks } = pipeline([at(9n), at(9n), carriedOut], [10n], 1n);
    await waitUntilCaughtUp(reader, OPTIONS);
    expect(looks).toEqual(["position", "ends", "progress", "position", "position", "position", "ends", "progress"]);
  });

  test("waits for a running snapshot", async () => {
    const { reader, looks } = pipeline([at(9n, newSnapshot()), at(9n)], [10n]);
    await waitUntilCaughtUp(reader, OPTIONS);
    expect(looks).toEqual(["position", "position", "ends", "progress"]);
  });

  test.each([
    ["the producer", [at(4n)], [10n], /headrace produce/],
    ["the consumer", [at(5n)], [9n], /headrace consume/],
  ])("says that %s has not caught up in time", async (_, positions, offsets, message) => {
    const { reader } = pipeline(positions, offsets);
    const waiting = waitUntilCaughtUp(reader, { ...OPTIONS, timeoutMs: 0 });
    await expect(waiting).rejects.toMatchObject({ code: "CATCH_UP_TIMEOUT", message: expect.stringMatching(message) });
  });

  test("rejects with the reason of the AbortSignal", async () => {
    const controller = new AbortController();
    const waiting = waitUntilCaughtUp(pipeline([null], [0n]).reader, { ...OPTIONS, signal: controller.signal });
    const reason = new Error("stopped");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

test("the lag of a partition is the number of records to apply, and never negative", () => {
  expect(lagOf(END, new Map())).toBe(10n);
  expect(lagOf(END, new Map([["t/0", 7n]]))).toBe(3n);
  expect(lagOf(END, new Map([["t/0", 12n]]))).toBe(0n);
});
