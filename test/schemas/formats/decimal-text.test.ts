import { Decimal128 } from "bson";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decimal128Text,
  isNegativeZero,
  parseDecimal,
  plainDigits,
} from "../../../src/schemas/formats/decimal-text.ts";

const anyBytes = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));

/** Mostly of few digits and usual exponents, as prices are. */
const usual = fc
  .tuple(fc.boolean(), fc.bigInt(0n, 2n ** 60n), fc.integer({ min: -40, max: 40 }))
  .map(([isNegative, coefficient, exponent]) => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(coefficient, 0);
    bytes.writeBigUInt64LE((BigInt(isNegative) << 63n) | (BigInt(exponent + 6176) << 49n), 8);
    return bytes;
  });

describe("a Decimal128's text", () => {
  it("is the same as in bson", () => {
    fc.assert(
      fc.property(fc.oneof(usual, anyBytes), fc.nat(8), (bytes, offset) => {
        const padded = Buffer.concat([Buffer.alloc(offset, 1), bytes, Buffer.alloc(3, 1)]);
        expect(decimal128Text(padded, offset)).toBe(new Decimal128(bytes).toString());
      }),
      { numRuns: 5000 },
    );
  });

  it("shows whether it is the negative zero", () => {
    for (const zero of ["-0", "-0.00", "-0E+3", "-0E-10"]) expect(isNegativeZero(zero)).toBe(true);
    for (const other of ["0", "-0.01", "-1E-10", "NaN", "-Infinity", "-10"]) expect(isNegativeZero(other)).toBe(false);
  });
});

describe("a decimal", () => {
  it.each([
    ["0.00", { isNegative: false, digits: "", exponent: 0 }],
    ["-012.3400", { isNegative: true, digits: "1234", exponent: -2 }],
    ["1.50E+10", { isNegative: false, digits: "15", exponent: 9 }],
    ["5e-324", { isNegative: false, digits: "5", exponent: -324 }],
    ["1200", { isNegative: false, digits: "12", exponent: 2 }],
    ["NaN", undefined],
    ["-Infinity", undefined],
  ])("is parsed from %s", (text, expected) => {
    expect(parseDecimal(text)).toEqual(expected);
  });

  it.each([
    ["1E+3", "1000"],
    ["1.50E+1", "15.0"],
    ["-1.5E-3", "-0.0015"],
    ["-0E-3", "0.000"],
    ["0E+3", "0"],
    ["-0.00", "0.00"],
    ["9E+399", `9${"0".repeat(399)}`],
    ["9E+400", undefined],
    ["-9E+399", undefined],
    ["1E-398", `0.${"0".repeat(397)}1`],
    ["1E-399", undefined],
  ])("%s has plain digits, up to 400 characters", (text, expected) => {
    expect(plainDigits(text)).toBe(expected);
  });
});
