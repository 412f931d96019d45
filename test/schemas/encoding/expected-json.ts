// The JSON that a document must get. Simple, slow, and written in another way than the encoder.
import { EJSON } from "bson";
import { type Bson, bsonClassOf, type Field, lastFields, mended, needsMending } from "../formats/bson-model.ts";

/** Canonical Extended JSON, from `bson` if it can write it. */
export function extendedJson(value: Bson): string {
  switch (value.type) {
    case "document":
      return objectJson(value.fields, extendedJson);
    case "array":
      return `[${value.items.map(extendedJson).join(",")}]`;
    case "codeWithScope":
      return `{"$code":${JSON.stringify(mended(value.utf8))},"$scope":${objectJson(value.scope, extendedJson)}}`;
    case "date":
      return `{"$date":{"$numberLong":"${value.value}"}}`;
    case "dbPointer":
      return `{"$dbPointer":{"$ref":${JSON.stringify(mended(value.namespace))},"$id":{"$oid":"${value.id.toString("hex")}"}}}`;
    case "undefined":
      return '{"$undefined":true}';
    case "double":
    case "int32":
    case "int64":
    case "decimal128":
    case "string":
    case "symbol":
    case "code":
    case "regex":
    case "timestamp":
    case "objectId":
    case "binary":
    case "boolean":
    case "null":
    case "minKey":
    case "maxKey":
    default:
      return EJSON.stringify([bsonClassOf(value)], { relaxed: false }).slice(1, -1);
  }
}

export function plainJson(value: Bson): string {
  switch (value.type) {
    case "document":
      return objectJson(value.fields, plainJson);
    case "array":
      return `[${value.items.map(plainJson).join(",")}]`;
    case "double":
      return Number.isFinite(value.value) ? JSON.stringify(value.value) : `"${value.value}"`;
    case "int32":
    case "int64":
      return value.value.toString();
    case "decimal128":
      return decimalJson(decimalText(value));
    case "date":
      return value.value >= -8640000000000000n && value.value <= 8640000000000000n
        ? JSON.stringify(new Date(Number(value.value)))
        : extendedJson(value);
    case "objectId":
      return `"${value.bytes.toString("hex")}"`;
    case "binary":
      return JSON.stringify(uuidText(value) ?? value.bytes.toString("base64"));
    case "string":
    case "symbol":
    case "code":
    case "codeWithScope":
    case "regex":
    case "dbPointer":
    case "timestamp":
    case "boolean":
    case "null":
    case "undefined":
    case "minKey":
    case "maxKey":
    default:
      return extendedJson(value);
  }
}

/** For comparison. Numbers keep all their digits, and later duplicates win, as in jsonb. */
export function parseExactly(json: string): unknown {
  return JSON.parse(json, ((_key: string, value: unknown, { source }: { source: string }) =>
    typeof value === "number" ? `number ${source}` : value) as (key: string, value: unknown) => unknown);
}

/** Whether its JSON is not the same: characters were replaced, or duplicates dropped. */
export function isAltered(value: Bson): boolean {
  if (value.type === "document") return isAlteredDocument(value.fields);
  if (value.type === "array") return value.items.some(isAltered);
  if (value.type === "regex") return needsMending(value.pattern);
  if (value.type === "dbPointer") return needsMending(value.namespace);
  if (value.type === "codeWithScope") return needsMending(value.utf8) || isAlteredDocument(value.scope);
  return "utf8" in value && needsMending(value.utf8);
}

export function decimalText(value: Bson & { type: "decimal128" }): string {
  return String(bsonClassOf(value));
}

export function uuidText(value: Bson & { type: "binary" }): string | undefined {
  if (value.subtype !== 4 || value.bytes.length !== 16) return undefined;
  return value.bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** `[coefficient, exponent]` of a finite decimal, from its text. */
export function decimalParts(value: string): [bigint, number] {
  const [digits = "", power = "0"] = value.toLowerCase().split("e");
  const [whole = "", fraction = ""] = digits.split(".");
  return [BigInt(whole + fraction), Number(power) - fraction.length];
}

function isAlteredDocument(fields: readonly Field[]): boolean {
  const last = lastFields(fields);
  return last.length < fields.length || last.some(({ name, value }) => needsMending(name) || isAltered(value));
}

function objectJson(fields: readonly Field[], json: (value: Bson) => string): string {
  return `{${lastFields(fields)
    .map(({ name, value }) => `${JSON.stringify(mended(name))}:${json(value)}`)
    .join(",")}}`;
}

function decimalJson(value: string): string {
  if (!/^[-0-9.E+]+$/.test(value)) return `"${value}"`;
  const [coefficient, exponent] = decimalParts(value);
  const sign = coefficient < 0n ? "-" : "";
  const digits = String(coefficient < 0n ? -coefficient : coefficient);
  const plain =
    exponent >= 0
      ? BigInt(digits + "0".repeat(exponent)).toString()
      : digits.padStart(1 - exponent, "0").replace(new RegExp(`(.{${-exponent}})$`), ".$1");
  return (sign + plain).length <= 400 ? sign + plain : `"${value}"`;
}
