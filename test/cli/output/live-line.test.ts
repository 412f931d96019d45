import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { activityText, openLiveLine } from "../../../src/cli/output/live-line.ts";
import { newSnapshot, versionOf } from "../../../src/schemas/change-event.ts";
import type { Position, SnapshotState } from "../../../src/schemas/change-event.ts";

const RATES = { published: 812.4, applied: 700, nowMs: 1_700_000_002_000 };

const position: Position = {
  resumeToken: null,
  clusterTime: versionOf(1_700_000_000, 1),
  cluster: "rs0",
  horizon: 0n,
  snapshots: new Map<string, SnapshotState>([
    ["cities", newSnapshot()],
    ["movies", { state: "done", at: 1n }],
  ]),
  signals: { offset: 0n, after: null },
};

function terminal(): { stream: NodeJS.WriteStream; written: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 });
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => Buffer.concat(chunks).toString() };
}

describe("activityText", () => {
  const idle = { published: 0, applied: 0, deadLetters: 0, position: null, lag: 0n };

  test("shows how much a consumer has applied", () => {
    expect(activityText({ ...idle, applied: 11_000, lag: 1_000n }, RATES)).toBe("applied 11,000 (700/s), lag 1,000");
  });

  test("shows how old a producer's position is, and which collections it copies", () => {
    expect(activityText({ ...idle, published: 12_000, position }, RATES)).toBe(
      "published 12,000 (812/s), position 2 s old, snapshot of cities",
    );
  });

  test("shows both in one process, and the dead letters", () => {
    expect(activityText({ published: 1, applied: 1, deadLetters: 3, position, lag: 0n }, RATES)).toMatch(
      /^published .* · applied .* · 3 dead letters$/,
    );
    expect(activityText({ ...idle, deadLetters: 1 }, RATES)).toMatch(/ · 1 dead letter$/);
  });
});

describe("openLiveLine", () => {
  test("gives null if the stream is not a terminal", async () => {
    expect(
      await openLiveLine(Object.assign(new PassThrough(), { isTTY: false }) as unknown as NodeJS.WriteStream),
    ).toBeNull();
  });

  test("writes whole log lines above the live line", async () => {
    const { stream, written } = terminal();
    const line = await openLiveLine(stream);
    const log = `{"msg":"${"x".repeat(200)}"}\n`;
    line?.show("applied 1");
    line?.print(log);
    line?.show("applied 2");
    line?.end();
    expect(written()).toContain(log);
    expect(written()).toContain("applied 2");
  });
});
