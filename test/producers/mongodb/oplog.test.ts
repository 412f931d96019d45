import { expect, test } from "vitest";
import { shareLeft } from "../../../src/producers/mongodb/oplog.ts";
import { versionOf } from "../../../src/schemas/change-event.ts";

const window = { start: versionOf(1_000, 5), end: versionOf(2_000, 1), isFull: true };

test.each([
  [versionOf(2_000, 1), 1],
  [versionOf(1_750, 3), 0.75],
  [versionOf(1_000, 5), 0],
  [versionOf(500, 1), -0.5],
])("for a position at %s, the share %d of the window is left", (position, share) => {
  expect(shareLeft(window, position)).toBeCloseTo(share, 5);
});

test("for an oplog with one entry, all of the window is left", () => {
  expect(shareLeft({ ...window, start: window.end }, window.end)).toBe(1);
});
