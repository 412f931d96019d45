import { expect, test } from "vitest";
import { verifyReport } from "../../../src/cli/output/verify-report.ts";
import { CollectionTally, isEqual } from "../../../src/verify/result.ts";
import type { CollectionResult } from "../../../src/verify/result.ts";

const of = { collection: "cities", table: "public.cities", documents: 135_233, rows: 135_234 };

function result(fill: (tally: CollectionTally) => void): CollectionResult {
  const tally = new CollectionTally();
  fill(tally);
  return tally.result(of);
}

test("a result counts all keys and lists the first hundred", () => {
  const many = result((tally) => {
    for (let i = 0; i < 250; i++) tally.add(String(i), { kind: "different", columns: ["a", "_extra"] }, false);
    tally.add("x", { kind: "different", columns: ["a"] }, false);
    tally.add("d", { kind: "different", columns: ["b"] }, true);
  });
  expect(many).toMatchObject({
    ...of,
    differentCount: 251,
    differentColumns: { a: 251, _extra: 250 },
    missingCount: 0,
  });
  expect(many.different).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
  expect(many).toMatchObject({ deadLettered: ["d"], deadLetteredCount: 1 });
  expect(isEqual(many)).toBe(false);
});

test("keys with a dead letter do not make a collection unequal", () => {
  expect(isEqual(result((tally) => tally.add("d", { kind: "missing" }, true)))).toBe(true);
  expect(isEqual(result((tally) => tally.add("d", { kind: "extra" }, false)))).toBe(false);
});

test("the report shows the counts, the keys and whether all is equal", () => {
  const collection = result((tally) => {
    tally.add("11", { kind: "missing" }, false);
    tally.add("two\nlines", { kind: "extra" }, false);
    for (let i = 0; i < 30; i++) tally.add(`key ${i}`, { kind: "different", columns: ["price"] }, false);
    tally.add("dead", { kind: "missing" }, true);
  });
  const report = verifyReport({ equal: false, caughtUp: false, collections: [collection] });
  expect(report).toContain("135233");
  expect(report).toContain("Missing in public.cities:\n  11\n");
  expect(report).toContain('Extra in public.cities, not in the collection cities:\n  "two\\nlines"\n');
  expect(report).toContain("Different in public.cities (price 30):\n  key 0\n");
  expect(report).toContain("  … and 10 more\n");
  expect(report).toContain("because of an open dead letter:\n  dead\n");
  expect(report).toContain("--wait");
  expect(report).toMatch(/Not equal\.\n$/);
});

test("the report of equal tables does not hide keys with a dead letter", () => {
  const collection = result((tally) => tally.add("d", { kind: "missing" }, true));
  const report = verifyReport({ equal: true, caughtUp: true, collections: [collection] });
  expect(report).toMatch(/:\n {2}d\n\nEqual, except the keys with an open dead letter\.\n$/);
});

test("the report of equal tables lists no keys", () => {
  const report = verifyReport({ equal: true, caughtUp: null, collections: [result(() => {})] });
  expect(report).toMatch(/┘\n\nEqual: every document was compared with its row\.\n$/);
});

test("the report says what orphaned keys are, and what deletes their rows", () => {
  const collection = result((tally) => tally.add("o", { kind: "orphaned" }, false));
  expect(isEqual(collection)).toBe(false);
  const report = verifyReport({ equal: false, caughtUp: true, collections: [collection] });
  expect(report).toMatch(/different │ orphaned │ dead letters/);
  expect(report).toContain(
    "Orphaned: not in public.cities, but in the tables of its arrays, whose rows `headrace verify --repair` deletes:\n  o\n",
  );
  expect(verifyReport({ equal: true, caughtUp: null, collections: [result(() => {})] })).not.toContain("orphan");
});
