import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decimalOf, exactDecimal, integerOf } from "../../../src/verify/values/decimal.ts";
import { isSameJson, parseJson, stringifyJson } from "../../../src/verify/values/json.ts";
import type { JsonValue } from "../../../src/verify/values/json.ts";

const same = (one: string, other: string): boolean => isSameJson(parsed(one), parsed(other));

function parsed(text: string): JsonValue {
  const json = parseJson(text);
  if (json === undefined) throw new Error(`no JSON: ${text}`);
  return json;
}

describe("JSON", () => {
  test("is parsed like JSON.parse", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "binary" }), fc.nat({ max: 3 }), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(JSON.parse(stringifyJson(parsed(spaced)))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("invalid JSON is refused", () => {
    for (const text of [
      "",
      "{",
      "[1",
      '{"a"}',
      '{"a":}',
      "[1 2]",
      "tru",
      '"a',
      '"a\\"',
      "1 1",
      "nul",
      "{1:2}",
      "-",
      "[".repeat(100_000),
    ]) {
      expect(parseJson(text), text).toBeUndefined();
    }
  });

  test("names keep their order, also names that an object would move", () => {
    expect(stringifyJson(parsed('{"b": 1, "2": 2, "__proto__": 3, "1": 4}'))).toBe('{"b":1,"2":2,"__proto__":3,"1":4}');
  });

  test("numbers are compared by value, to the last digit", () => {
    expect(same("1.50", "15e-1")).toBe(true);
    expect(same("-0", "0")).toBe(true);
    expect(same("9007199254740993", "9007199254740992")).toBe(false);
    expect(same("0.1", "0.10000000000000000001")).toBe(false);
    expect(same("1", '"1"')).toBe(false);
  });

  test("objects are equal in any order, arrays only in the same order", () => {
    expect(same('{"a": [1, null], "b": {}}', '{"b": {}, "a": [1, null]}')).toBe(true);
    expect(same("[1, 2]", "[2, 1]")).toBe(false);
    expect(same('{"a": 1}', '{"a": 1, "b": null}')).toBe(false);
    expect(same('{"a": null}', '{"b": null}')).toBe(false);
    expect(same("[]", "{}")).toBe(false);
    expect(same("null", "false")).toBe(false);
  });

  test("a $numberDouble is compared as a double, in any notation", () => {
    expect(same('{"$numberDouble": "1e+300"}', '{"$numberDouble": "1.0E300"}')).toBe(true);
    expect(same('{"$numberDouble": "7.0"}', '{"$numberDouble": "7"}')).toBe(true);
    expect(same('{"$numberDouble": "-0.0"}', '{"$numberDouble": "0.0"}')).toBe(false);
    expect(same('{"$numberDouble": "NaN"}', '{"$numberDouble": "x"}')).toBe(false);
    expect(same('{"$numberDouble": "0.1"}', '{"$numberDouble": "0.10000000000000002"}')).toBe(false);
    expect(same('{"$numberDecimal": "1.50"}', '{"$numberDecimal": "1.5"}')).toBe(false);
  });
});

describe("decimals", () => {
  test("equal values have one text", () => {
    for (const text of ["1.5", "1.50", "15E-1", "+0.15e1", "0001.5000"]) expect(decimalOf(text)).toBe("15e-1");
    for (const text of ["0", "-0", "0.000", "0E+10", "-0.0"]) expect(decimalOf(text)).toBe("0");
    for (const text of ["NaN", "Infinity", "-Infinity"]) expect(decimalOf(text)).toBe(text);
    for (const text of ["", ".", "-", "1x", " 1", "e5"]) expect(decimalOf(text)).toBeUndefined();
  });

  test("whole numbers become exact integers, other numbers none", () => {
    expect(integerOf("7.00")).toBe(7n);
    expect(integerOf("-12e2")).toBe(-1200n);
    expect(integerOf("-0")).toBe(0n);
    expect(integerOf("7.5")).toBeUndefined();
    expect(integerOf("NaN")).toBeUndefined();
  });

  test("exactDecimal has all digits of a double", () => {
    expect(exactDecimal(0.1)).toEqual({
      sign: "",
      digits: "1000000000000000055511151231257827021181583404541015625",
      exponent: -55,
    });
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const { sign, digits, exponent } = exactDecimal(value);
        expect(Number(`${sign}${digits || "0"}e${exponent}`)).toBe(value === 0 ? 0 : value);
        expect(digits).not.toMatch(/^0|0$/);
      }),
    );
  });
});
