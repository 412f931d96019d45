import * as fc from "fast-check";
import { expect, test } from "vitest";
import { committedByMs, versionOf } from "../../src/schemas/change-event.ts";

test("a change is committed in the second of its version, and not after it was seen unless clocks differ", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4_000_000_000 }),
      fc.integer({ min: -5_000, max: 5_000 }),
      (second, lateMs) => {
        const seenMs = second * 1_000 + lateMs;
        const committed = committedByMs(versionOf(second, 1), seenMs);
        expect(committed).toBeGreaterThanOrEqual(second * 1_000);
        expect(committed).toBeLessThanOrEqual(second * 1_000 + 1_000);
        if (lateMs >= 0) expect(committed).toBeLessThanOrEqual(seenMs);
      },
    ),
  );
});
