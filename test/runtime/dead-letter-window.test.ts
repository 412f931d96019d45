import * as fc from "fast-check";
import { expect, test } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import { DeadLetterWindow } from "../../src/runtime/dead-letter-window.ts";

const bad = new HeadraceError("VALUE_REFUSED", { message: "refused" });

test("throws at the first dead letter that is too many among the latest records", () => {
  const limits = fc.record({
    max: fc.integer({ min: 0, max: 5 }),
    records: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), limits, (failures, { max, records }) => {
      const window = new DeadLetterWindow({ max, records }, "records failed");
      const expected = failures.findIndex((_, index) => {
        const last = failures.slice(Math.max(0, index + 1 - records), index + 1);
        return failures[index] === true && last.filter(Boolean).length > max;
      });
      const tripped = failures.findIndex((isBad) => {
        if (!isBad) {
          window.succeeded(1);
          return false;
        }
        try {
          window.deadLetter(bad);
          return false;
        } catch {
          return true;
        }
      });
      expect(tripped).toBe(expected);
    }),
  );
});

test("the error has the last failure as its cause", () => {
  const cause = new HeadraceError("VALUE_REFUSED", { message: "no such column" });
  const window = new DeadLetterWindow({ max: 0, records: 10 }, "records failed");
  expect(() => window.deadLetter(cause)).toThrow(
    expect.objectContaining({ code: "DEAD_LETTER_WINDOW", kind: "fatal", cause }) as Error,
  );
});
