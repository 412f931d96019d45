import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WHOLE_DATABASE, isSelected, patternSource, whyNotSelected } from "../../src/schemas/collection-selection.ts";
import type { CollectionSelection, OtherCollections } from "../../src/schemas/collection-selection.ts";

const ALL: OtherCollections = { include: null, exclude: [], tables: new Map() };

function matches(name: string, pattern: string): boolean {
  return new RegExp(patternSource(pattern), "u").test(name);
}

/** The same question, answered letter by letter. */
function matchesSlowly(name: readonly string[], pattern: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return name.length === 0;
  if (first === "*") return matchesSlowly(name, rest) || (name.length > 0 && matchesSlowly(name.slice(1), pattern));
  return name.length > 0 && (first === "?" || first === name[0]) && matchesSlowly(name.slice(1), rest);
}

describe("a pattern", () => {
  test.each([
    ["orders", "orders", true],
    ["orders", "order", false],
    ["orders", "ORDERS", false],
    ["tmp_1", "tmp_*", true],
    ["tmp_", "tmp_*", true],
    ["a_tmp_1", "tmp_*", false],
    ["a.b", "a.?", true],
    ["axb", "a.b", false],
    ["😀s", "?s", true],
    ["a\n", "a", false],
    ["a\nb", "a*b", true],
    ["[x](y)+", "[x](y)+", true],
  ])("%j by %j: %s", (name, pattern, expected) => {
    expect(matches(name, pattern)).toBe(expected);
  });

  test("finds the names that it would find letter by letter", () => {
    const letters = fc.array(fc.constantFrom("a", "b", ".", "$", "\\", "^", "\n", "😀", "-", "/"), { maxLength: 6 });
    const pattern = fc.array(fc.constantFrom("a", "b", ".", "$", "\\", "*", "?", "😀", "-", "/"), { maxLength: 6 });
    fc.assert(
      fc.property(letters, pattern, (name, some) => {
        expect(matches(name.join(""), some.join(""))).toBe(matchesSlowly(name, some));
      }),
      { numRuns: 2_000 },
    );
  });
});

test("exclude goes before include, and both before nothing else", () => {
  const others = { ...ALL, include: ["shop_*"], exclude: ["*_old"] };
  expect(whyNotSelected("shop_orders", others)).toBeNull();
  expect(whyNotSelected("shop_old", others)).toBe('the config excludes "*_old"');
  expect(whyNotSelected("orders", others)).toBe("the config includes only others");
});

test("a collection whose table a named one has is not one of the others", () => {
  const selection: CollectionSelection = {
    named: ["orders"],
    others: { ...ALL, tables: new Map([["sales", "orders"]]) },
  };
  expect(isSelected("sales", selection)).toBe(false);
  expect(whyNotSelected("sales", selection.others!)).toContain('that of the collection "orders"');
});

test("what is named is selected whatever the patterns say", () => {
  const selection: CollectionSelection = { named: ["tmp_orders"], others: { ...ALL, exclude: ["tmp_*"] } };
  expect(["tmp_orders", "tmp_1", "x"].filter((name) => isSelected(name, selection))).toEqual(["tmp_orders", "x"]);
  expect(isSelected("x", { named: ["a"], others: null })).toBe(false);
  expect(isSelected("x", WHOLE_DATABASE)).toBe(true);
});
