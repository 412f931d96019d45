import { Decimal128, EJSON, Long, ObjectId, UUID } from "bson";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import type { BsonValue, DocumentId } from "./bson.ts";
import { decimalParts, exactDecimal, integerOf } from "./decimal.ts";
import { EXTENDED, object, toJson, uuidOf, wrapped } from "./json-forms.ts";
import type { JsonForm } from "./json-forms.ts";
import { JsonNumber, isJsonObject, parseJson, stringifyJson } from "./json.ts";
import type { JsonValue } from "./json.ts";

/** The most significant digits of a Decimal128. */
const DECIMAL128_DIGITS = 34;

interface KeyRule {
  /** The text that the `_id` column must have; undefined if the `_id` is not of this type. */
  keyOf(id: BsonValue): string | undefined;
  /** The `_id` that finds the document of a key; undefined if no document can have the key. */
  idOf(key: string): unknown;
}

const RULES: Readonly<Record<IdType, KeyRule>> = {
  objectId: {
    keyOf: (id) => (id.kind === "objectId" ? id.hex : undefined),
    idOf: (key) => (/^[0-9a-f]{24}$/.test(key) ? new ObjectId(key) : undefined),
  },
  string: {
    keyOf: (id) => (id.kind === "string" || id.kind === "symbol" ? id.value : undefined), // MongoDB considers them equal
    idOf: (key) => key,
  },
  uuid: {
    keyOf: (id) => (id.kind === "binary" ? uuidOf(id) : undefined),
    idOf: (key) => (UUID.isValid(key) ? new UUID(key) : undefined),
  },
  integer: {
    keyOf: (id) => (isNumber(id) ? int64Of(exactText(id)) : undefined),
    idOf: (key) => (int64Of(key) === undefined ? undefined : Long.fromString(key)),
  },
  mixed: {
    keyOf: (id) => (hasDollarNames(id) ? undefined : mixedKey(id)),
    idOf: (key) => fromExtended(parseJson(key)),
  },
};

/** The text that the `_id` column must have for a document; undefined if the document can have no row. */
export function expectedKey(idType: IdType, { id, isClean }: DocumentId): string | undefined {
  return isClean ? RULES[idType].keyOf(id) : undefined;
}

/** A value that finds the document of a key in MongoDB by `_id`; undefined if no document can have that key. */
export function idOfKey(idType: IdType, key: string): unknown {
  return RULES[idType].idOf(key);
}

/** Canonical Extended JSON, with one text for all `_id`s that MongoDB considers equal. The order of fields counts. */
export function mixedKey(id: BsonValue): string {
  return stringifyJson(toJson(MIXED, id));
}

const MIXED: JsonForm = {
  ...EXTENDED,
  double: numberKey,
  int32: numberKey,
  int64: numberKey,
  decimal128: numberKey,
  symbol: ({ value }) => value,
  code: (value, form) => {
    const { code, scope } = value;
    return scope === undefined ? EXTENDED.code(value, form) : object({ $code: code, $scope: toJson(form, scope) });
  },
};

type NumberValue = BsonValue & { readonly kind: "double" | "int32" | "int64" | "decimal128" };

function isNumber(value: BsonValue): value is NumberValue {
  return value.kind === "double" || value.kind === "int32" || value.kind === "int64" || value.kind === "decimal128";
}

/** All digits of a number, not the shortest text of its double. NaN and Infinity stay as they are. */
function exactText(value: NumberValue): string {
  if (value.kind === "decimal128") return isTooLong(value.text) ? "0" : value.text;
  if (value.kind !== "double" || !Number.isFinite(value.value)) return String(value.value);
  const { sign, digits, exponent } = exactDecimal(value.value);
  return `${sign}${digits || "0"}E${exponent}`;
}

/** MongoDB treats a Decimal128 with more digits as zero. Zeros at the end count as digits. */
function isTooLong(decimal128: string): boolean {
  const [coefficient = ""] = decimal128.split("E");
  return coefficient.replaceAll(/[-.]/g, "").replace(/^0+/, "").length > DECIMAL128_DIGITS;
}

function numberKey(value: NumberValue): JsonValue {
  const text = exactText(value);
  const int64 = int64Of(text);
  if (int64 !== undefined) return wrapped("$numberLong", int64);
  const parts = decimalParts(text);
  if (parts === undefined) return wrapped("$numberDouble", text); // NaN, Infinity
  const { sign, digits, exponent } = parts;
  if (digits.length > DECIMAL128_DIGITS) return wrapped("$numberDouble", String(Number(text)));
  // A Decimal128 pads the digits of the largest numbers with zeros, whichever way the number was written.
  const padded = Decimal128.fromString(`${sign}${digits}E${exponent}`).toString();
  return wrapped("$numberDecimal", padded.replace(/\.?0+E/, "E"));
}

/** Names with `$` could look like another type in Extended JSON. The three names of a DBRef cannot. */
function hasDollarNames(id: BsonValue): boolean {
  if (id.kind === "array") return id.items.some(hasDollarNames);
  if (id.kind === "code") return id.scope !== undefined && hasDollarNames(id.scope);
  if (id.kind !== "document") return false;
  return [...id.fields].some(
    ([name, value]) => (name.startsWith("$") && !["$ref", "$id", "$db"].includes(name)) || hasDollarNames(value),
  );
}

function int64Of(text: string): string | undefined {
  const integer = integerOf(text);
  return integer === undefined || BigInt.asIntN(64, integer) !== integer ? undefined : String(integer);
}

const WRAPPER = /^\$(?:oid|date|binary|regularExpression|timestamp|dbPointer|code|undefined|minKey|maxKey|number\w+)$/;

/** Sub-documents become maps: an object would move names like "2" to the front, so that MongoDB finds nothing. */
function fromExtended(json: JsonValue | undefined): unknown {
  if (json instanceof JsonNumber) return undefined; // in canonical Extended JSON every number has a wrapper
  if (Array.isArray(json)) return json.map(fromExtended);
  if (!isJsonObject(json)) return json;
  const [first = ""] = json.keys();
  if (WRAPPER.test(first)) return fromWrapper(json);
  return new Map(Array.from(json, ([name, value]) => [name, fromExtended(value)]));
}

function fromWrapper(json: JsonValue): unknown {
  try {
    return EJSON.parse(stringifyJson(json), { relaxed: false });
  } catch {
    return undefined; // no document has this text as its key
  }
}
