import type { Document } from "mongodb";
import { expect, test } from "vitest";
import { findTable } from "../../../src/operations/propose/find-columns.ts";
import { summaryOf } from "./summary-of.ts";

const names = (count: number, prefix: string): Document =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}${n}`, 1]));

test("a sample of any size is remembered in bounded memory", () => {
  const wide = Array.from({ length: 5 }, (_, n) => names(5_000, `w${n}_`));
  const summary = summaryOf(wide);
  expect(summary.documents).toBe(5);
  expect(summary.fields.size).toBe(2_000);
  const { columns, notes } = findTable(summary, { arrays: "children" });
  expect(columns).toHaveLength(200);
  expect(notes).toContain("in _extra: more fields than init looks at");

  const maps = summaryOf(Array.from({ length: 5 }, (_, n) => ({ map: names(5_000, `m${n}_`) })));
  expect(maps.fields.get("map")?.object?.fields.size).toBe(41);
  expect(findTable(maps, { arrays: "children" }).columns).toMatchObject([{ path: ["map"], type: "jsonb" }]);

  const field = (depth: number): unknown =>
    depth === 0 ? 1 : Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, field(depth - 1)]));
  const nested = summaryOf([Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`g${n}`, field(2)]))]);
  let count = 0;
  for (const { object } of nested.fields.values()) {
    for (const inner of object?.fields.values() ?? []) count += 1 + (inner.object?.fields.size ?? 0);
  }
  expect(count).toBeLessThanOrEqual(50_000);
  expect(count).toBeGreaterThan(40_000);
});

test("what is deeper than three names is in one jsonb column", () => {
  const { columns } = findTable(summaryOf([{ a: { b: { c: { d: 1 } } } }]), { arrays: "children" });
  expect(columns).toMatchObject([{ path: ["a", "b", "c"], type: "jsonb" }]);
});

test("an array of documents below two child tables is one jsonb column", () => {
  const found = findTable(summaryOf([{ a: [{ x: 1, b: [{ y: 1, c: [{ z: 1 }] }] }] }]), { arrays: "children" });
  expect(found.children[0]?.children[0]?.columns).toMatchObject([
    { path: ["y"], type: "bigint" },
    { path: ["c"], type: "jsonb" },
  ]);
});

test("a name that is not UTF-8, or is never there, gets no column, with the reason", () => {
  const documents: Document[] = Array.from({ length: 200 }, () => ({ "a\uFFFD": 1, empty: null, always: 1 }));
  documents.push({ once: 1 });
  const { columns, notes } = findTable(summaryOf(documents), { arrays: "children" });
  expect(columns).toMatchObject([{ path: ["always"], comment: "99 %: int" }]);
  expect(notes).toEqual([
    "in _extra: a\uFFFD (its name is not UTF-8)",
    "in _extra: empty (always null)",
    "in _extra: once (in less than 1 %)",
  ]);
});
