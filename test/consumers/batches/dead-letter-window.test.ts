import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DeadLetterWindow } from "../../../src/consumers/batches/dead-letter-window.ts";
import { HeadraceError } from "../../../src/errors/error.ts";

const bad = new HeadraceError("VALUE_REFUSED", { message: "refused" });

test("throws at the first dead letter that is too many among the latest records", () => {
  const limits = fc.record({
    maxDeadLetters: fc.integer({ min: 0, max: 5 }),
    windowRecords: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), limits, (failures, { maxDeadLetters, windowRecords }) => {
      const window = new DeadLetterWindow({ maxDeadLetters, windowRecords });
      const expected = failures.findIndex((_, index) => {
        const last = failures.slice(Math.max(0, index + 1 - windowRecords), index + 1);
        return failures[index] === true && last.filter(Boolean).length > maxDeadLetters;
      });
      const tripped = failures.findIndex((isBad) => {
        if (!isBad) {
          window.applied(1);
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
  const window = new DeadLetterWindow({ maxDeadLetters: 0, windowRecords: 10 });
  expect(() => window.deadLetter(cause)).toThrow(
    expect.objectContaining({ code: "DEAD_LETTER_WINDOW", kind: "fatal", cause }) as Error,
  );
});
