import type { ColumnBase, ColumnType } from "../../schemas/mapping/column-type.ts";
import type { BsonValue } from "./bson.ts";
import { decimalOf, decimalParts, integerOf } from "./decimal.ts";
import { PLAIN, toJson, uuidOf } from "./json-forms.ts";
import { isSameJson, parseJson } from "./json.ts";
import { arrayElements, microsecondsOf } from "./postgres-text.ts";

/** Whether a column's text, as PostgreSQL prints it, is the expected value. */
type Holds = (text: string) => boolean;

/**
 * A test for the text that a column must have for a value; undefined if the value does not fit the column's type, so that
 * it must be in `_extra` (docs/tables.md).
 */
export function expectedOf(type: ColumnType, value: BsonValue): Holds | undefined {
  return type.isArray ? expectedArray(type, value) : FITS[type.base](value, type);
}

function expectedArray(type: ColumnType, value: BsonValue): Holds | undefined {
  if (value.kind !== "array") return undefined;
  const expected: (Holds | null)[] = [];
  for (const item of value.items) {
    const holds = item.kind === "null" ? null : FITS[type.base](item, type);
    if (holds === undefined) return undefined;
    expected.push(holds);
  }
  return (text) => {
    const elements = arrayElements(text);
    return elements?.length === expected.length && expected.every((holds, i) => isElement(holds, elements[i]));
  };
}

function isElement(holds: Holds | null, text: string | null | undefined): boolean {
  if (holds === null) return text === null;
  return typeof text === "string" && holds(text);
}

const FITS: Readonly<Record<ColumnBase, (value: BsonValue, type: ColumnType) => Holds | undefined>> = {
  text: (value) => text(value),
  "character varying": (value, { length = Infinity }) => text(value, (content) => characters(content) <= length),
  character: (value, { length = 1 }) =>
    text(value, (content) => characters(content) === length && !content.endsWith(" ")),
  smallint: (value) => integer(value, 16),
  integer: (value) => integer(value, 32),
  bigint: (value) => integer(value, 64),
  real: (value) => real(doubleOf(value)),
  "double precision": (value) => double(doubleOf(value)),
  numeric: (value, type) => numeric(value, type),
  boolean: (value) => (value.kind === "boolean" ? exactly(value.value ? "t" : "f") : undefined),
  date: (value) => (value.kind === "date" && value.ms % MS_PER_DAY === 0n ? time(value.ms) : undefined),
  "timestamp without time zone": (value) => (value.kind === "date" ? time(value.ms) : undefined),
  "timestamp with time zone": (value) => (value.kind === "date" ? time(value.ms) : undefined),
  uuid: (value) => uuid(value),
  bytea: (value) =>
    value.kind === "binary" && value.subType !== 3 && value.subType !== 4
      ? exactly(`\\x${value.bytes.toString("hex")}`)
      : undefined,
  jsonb: (value) => (text) => isSameJson(toJson(PLAIN, value), parseJson(text)),
};

const MS_PER_DAY = 86_400_000n;
/** The range of PostgreSQL's timestamps, in ms since 1970: from 4714-11-24 BC until before the year 294277. */
const START_OF_TIME = -210_866_803_200_000n;
const END_OF_TIME = 9_224_318_016_000_000n;

function exactly(expected: string): Holds {
  return (text) => text === expected;
}

function text(value: BsonValue, fits: (content: string) => boolean = () => true): Holds | undefined {
  const content = textOf(value);
  return content !== undefined && fits(content) ? exactly(content) : undefined;
}

function textOf(value: BsonValue): string | undefined {
  if (value.kind === "string") return value.value;
  if (value.kind === "objectId") return value.hex;
  return value.kind === "binary" ? uuidOf(value) : undefined;
}

/** PostgreSQL counts code points. */
function characters(content: string): number {
  let count = 0;
  for (const _ of content) count++;
  return count;
}

function integer(value: BsonValue, bits: number): Holds | undefined {
  if (value.kind === "double" && Math.abs(value.value) > 2 ** 53) return undefined;
  const number = numberText(value);
  const exact = number === undefined ? undefined : integerOf(number);
  if (exact === undefined || BigInt.asIntN(bits, exact) !== exact) return undefined;
  return (text) => integerOf(text) === exact;
}

/** A number's text; undefined for negative zeros, which PostgreSQL's exact types do not have, and for other values. */
function numberText(value: BsonValue): string | undefined {
  if (value.kind === "int32" || value.kind === "int64") return String(value.value);
  if (value.kind === "double") return Object.is(value.value, -0) ? undefined : String(value.value);
  if (value.kind !== "decimal128") return undefined;
  return /^-0(?:\.0*)?(?:E|$)/.test(value.text) ? undefined : value.text;
}

/** The double with exactly the value of a number; undefined if there is none. */
function doubleOf(value: BsonValue): number | undefined {
  if (value.kind === "double" || value.kind === "int32") return value.value;
  const isExact = value.kind === "int64" && value.value >= -(2n ** 53n) && value.value <= 2n ** 53n;
  return isExact ? Number(value.value) : undefined;
}

function double(expected: number | undefined): Holds | undefined {
  return expected === undefined ? undefined : (text) => Object.is(Number(text), expected);
}

/**
 * PostgreSQL prints a float4 as the shortest text that reads as the same float4. A double of up to six digits therefore
 * survives, but not below 2^-126, where a float4 has fewer digits.
 */
function real(expected: number | undefined): Holds | undefined {
  if (expected === undefined) return undefined;
  const single = Math.fround(expected);
  const isShort = Math.abs(expected) >= 2 ** -126 && Number(single.toPrecision(6)) === expected;
  const fits = isShort || Object.is(single, expected);
  return fits ? (text) => Object.is(Math.fround(Number(text)), single) : undefined;
}

function numeric(value: BsonValue, { length: precision, scale = 0 }: ColumnType): Holds | undefined {
  const number = numberText(value);
  const expected = number === undefined ? undefined : decimalOf(number);
  if (number === undefined || expected === undefined) return undefined;
  if (precision !== undefined && expected !== "NaN") {
    const parts = decimalParts(number);
    if (parts === undefined) return undefined; // Infinity
    const fits = parts.exponent >= -scale && parts.digits.length + parts.exponent <= precision - scale;
    if (!fits && parts.digits !== "") return undefined;
  }
  return (text) => decimalOf(text) === expected;
}

function time(ms: bigint): Holds | undefined {
  return ms >= START_OF_TIME && ms < END_OF_TIME ? (text) => microsecondsOf(text) === ms * 1000n : undefined;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function uuid(value: BsonValue): Holds | undefined {
  const content = value.kind === "objectId" ? undefined : textOf(value);
  return content !== undefined && UUID.test(content) ? exactly(content) : undefined;
}
