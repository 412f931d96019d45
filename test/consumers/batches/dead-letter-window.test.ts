import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DeadLetterWindow } from "../../../src/consumers/batches/dead-letter-window.ts";

test("it trips at the first moment at which the last records hold too many dead letters", () => {
  const limits = fc.record({
    maxDeadLetters: fc.integer({ min: 0, max: 5 }),
    windowRecords: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), limits, (bad, { maxDeadLetters, windowRecords }) => {
      const window = new DeadLetterWindow({ maxDeadLetters, windowRecords });
      const expected = bad.findIndex((_, index) => {
        const last = bad.slice(Math.max(0, index + 1 - windowRecords), index + 1);
        return bad[index] === true && last.filter(Boolean).length > maxDeadLetters;
      });
      const tripped = bad.findIndex((isBad) => {
        if (!isBad) {
          window.applied(1);
          return false;
        }
        try {
          window.deadLetter(new Error("bad"));
          return false;
        } catch {
          return true;
        }
      });
      expect(tripped).toBe(expected);
    }),
  );
});

test("the error says what to do and keeps the last cause", () => {
  const cause = new Error("no such column");
  const window = new DeadLetterWindow({ maxDeadLetters: 0, windowRecords: 10 });
  expect(() => window.deadLetter(cause)).toThrow(
    expect.objectContaining({ code: "DEAD_LETTER_WINDOW", kind: "fatal", cause }) as Error,
  );
});
