import type { BsonValue } from "./bson.ts";
import { JsonNumber } from "./json.ts";
import type { JsonValue } from "./json.ts";

/** A Decimal128 with more characters than this is written to jsonb as a string, not as a number. */
const MAX_DECIMAL_CHARACTERS = 400;
/** The last time that JavaScript can write as ISO 8601, in ms since 1970. */
const MAX_ISO_MS = 8_640_000_000_000_000n;

/** How to write each kind of BSON value as JSON. The second argument is the form for values inside this one. */
export type JsonForm = {
  readonly [K in BsonValue["kind"]]: (value: BsonValue & { readonly kind: K }, form: JsonForm) => JsonValue;
};

/** Writes a value in a form. */
export function toJson(form: JsonForm, value: BsonValue): JsonValue {
  return (form[value.kind] as (value: BsonValue, form: JsonForm) => JsonValue)(value, form);
}

/** Canonical Extended JSON, the form of `_extra`. */
export const EXTENDED: JsonForm = {
  document: ({ fields }, form) => new Map(Array.from(fields, ([name, value]) => [name, toJson(form, value)])),
  array: ({ items }, form) => items.map((item) => toJson(form, item)),
  null: () => null,
  boolean: ({ value }) => value,
  string: ({ value }) => value,
  double: ({ value }) => wrapped("$numberDouble", Object.is(value, -0) ? "-0.0" : String(value)),
  int32: ({ value }) => wrapped("$numberInt", String(value)),
  int64: ({ value }) => wrapped("$numberLong", String(value)),
  decimal128: ({ text }) => wrapped("$numberDecimal", text),
  objectId: ({ hex }) => wrapped("$oid", hex),
  date: ({ ms }) => wrapped("$date", wrapped("$numberLong", String(ms))),
  symbol: ({ value }) => wrapped("$symbol", value),
  undefined: () => wrapped("$undefined", true),
  minKey: () => wrapped("$minKey", new JsonNumber("1")),
  maxKey: () => wrapped("$maxKey", new JsonNumber("1")),
  binary: ({ bytes, subType }) =>
    wrapped("$binary", object({ base64: bytes.toString("base64"), subType: subType.toString(16).padStart(2, "0") })),
  regex: ({ pattern, options }) => wrapped("$regularExpression", object({ pattern, options })),
  timestamp: ({ seconds, increment }) =>
    wrapped("$timestamp", object({ t: new JsonNumber(String(seconds)), i: new JsonNumber(String(increment)) })),
  dbPointer: ({ namespace, hex }) => wrapped("$dbPointer", object({ $ref: namespace, $id: wrapped("$oid", hex) })),
  code: ({ code, scope }) =>
    scope === undefined ? wrapped("$code", code) : object({ $code: code, $scope: toJson(EXTENDED, scope) }),
};

/** The form of jsonb columns and of `doc`, which is easy to query. Kinds without a plain form stay Extended JSON. */
export const PLAIN: JsonForm = {
  ...EXTENDED,
  int32: ({ value }) => new JsonNumber(String(value)),
  int64: ({ value }) => new JsonNumber(String(value)),
  double: ({ value }) => (Number.isFinite(value) ? new JsonNumber(String(value)) : String(value)),
  decimal128: ({ text }) => (plainLength(text) <= MAX_DECIMAL_CHARACTERS ? new JsonNumber(text) : text),
  objectId: ({ hex }) => hex,
  binary: (binary) => uuidOf(binary) ?? binary.bytes.toString("base64"),
  date: (date, form) =>
    date.ms >= -MAX_ISO_MS && date.ms <= MAX_ISO_MS
      ? new Date(Number(date.ms)).toISOString()
      : EXTENDED.date(date, form),
};

/** The text of a UUID; undefined if the binary is not one. */
export function uuidOf({ subType, bytes }: BsonValue & { readonly kind: "binary" }): string | undefined {
  if (subType !== 4 || bytes.length !== 16) return undefined;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function wrapped(name: string, value: JsonValue): JsonValue {
  return new Map([[name, value]]);
}

export function object(fields: Readonly<Record<string, JsonValue>>): JsonValue {
  return new Map(Object.entries(fields));
}

/** The number of characters of a Decimal128 without an exponent. */
function plainLength(text: string): number {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]\d+))?$/.exec(text);
  if (match === null) return Infinity; // NaN, Infinity
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole.length + fraction.length;
  const point = whole.length + Number(exponent);
  // Zero has no sign and no zeros before its point.
  const isZero = /^0*$/.test(whole + fraction);
  if (point >= digits) return isZero ? 1 : sign.length + point;
  return (isZero ? 0 : sign.length) + 1 + (point > 0 ? digits : 1 + digits - point);
}
