import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeAvroName, unescapeAvroName } from "../../../src/schemas/mapping/avro-name.ts";

/** Any text, and much that looks like an escape. */
const name = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.constantFrom("_", "u", "_u", "0", "5", "f", "005f", "_u005f", ".", "a", "é", "\ud800", "-"))
    .map((parts) => parts.join("")),
);

describe("an escaped Avro name", () => {
  it("is allowed in Avro", () => {
    fc.assert(
      fc.property(name, (text) => {
        fc.pre(text !== "");
        expect(escapeAvroName(text)).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
      }),
    );
  });

  it("can be turned back into the name, so different names stay different", () => {
    fc.assert(
      fc.property(name, (text) => {
        expect(unescapeAvroName(escapeAvroName(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ["price", "price"],
    ["_extra", "_extra"],
    ["snake_case_u", "snake_case_u"],
    ["US Gross", "US_u0020Gross"],
    ["a.b", "a_u002eb"],
    ["$set", "_u0024set"],
    ["0", "_u0030"],
    ["a0", "a0"],
    ["é", "_u00e9"],
    ["😀", "_ud83d_ude00"],
    ["_u0041", "_u005fu0041"],
    ["_u004", "_u004"],
    ["_u004G", "_u004G"],
  ])("of %j is %s", (text, escaped) => {
    expect(escapeAvroName(text)).toBe(escaped);
  });
});
