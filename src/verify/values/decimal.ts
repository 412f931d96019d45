const NUMBER = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/;

/**
 * One text for all notations of a number: 1.50, 15E-1 and 1.5 give the same text, -0 and 0 too. NaN, Infinity and
 * -Infinity stay as they are; undefined for other texts.
 */
export function decimalOf(text: string): string | undefined {
  if (text === "NaN" || text === "Infinity" || text === "-Infinity") return text;
  const parts = decimalParts(text);
  if (parts === undefined) return undefined;
  return parts.digits === "" ? "0" : `${parts.sign}${parts.digits}e${parts.exponent}`;
}

/** `sign digits × 10^exponent`. The digits have no zeros at either end, and are empty for 0. */
export interface DecimalParts {
  readonly sign: "" | "-";
  readonly digits: string;
  readonly exponent: number;
}

/** Splits a finite decimal number; undefined for other texts. */
export function decimalParts(text: string): DecimalParts | undefined {
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const all = whole + fraction;
  if (all === "") return undefined;
  const significant = all.replace(/^0+/, "");
  const digits = trimZeros(significant);
  if (digits === "") return { sign: "", digits, exponent: 0 };
  return {
    sign: sign === "-" ? "-" : "",
    digits,
    exponent: Number(exponent) - fraction.length + significant.length - digits.length,
  };
}

/** Not the pattern `0+$`: its time grows with the square of the number of zeros in the middle. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

/** The value of a whole number; undefined if it has a fraction or is not finite. */
export function integerOf(text: string): bigint | undefined {
  const parts = decimalParts(text);
  if (parts === undefined || parts.exponent < 0) return undefined;
  return BigInt(`${parts.sign}${parts.digits || "0"}${"0".repeat(parts.exponent)}`);
}

/** All digits of a finite double: 0.1 is 0.1000000000000000055511151231257827…, 55 digits. */
export function exactDecimal(double: number): DecimalParts {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, double);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  const power = (biased === 0 ? 1 : biased) - 1075;
  const text = power >= 0 ? String(mantissa << BigInt(power)) : `${mantissa * 5n ** BigInt(-power)}e${power}`;
  const parts = decimalParts(text);
  if (parts === undefined) throw new Error(`${double} is not finite.`);
  return { ...parts, sign: double < 0 ? "-" : "" };
}
