import { createHmac } from "node:crypto";
import type { Redaction, RedactionRules } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument, BsonValue } from "./bson.ts";
import { decimalParts } from "./decimal.ts";
import { PLAIN, toJson, uuidOf } from "./json-forms.ts";

const MOST_ZEROS = 400;

/** What the producer publishes of a document: without the values that must not leave it. */
export function redacted(document: BsonDocument, { redactions, hashKey }: RedactionRules): BsonDocument {
  return redactions.reduce((each, redaction) => redactedFields(each, redaction.path, redaction, hashKey), document);
}

function redactedFields(
  document: BsonDocument,
  [name = "", ...rest]: readonly string[],
  redaction: Redaction,
  hashKey: string,
): BsonDocument {
  const value = document.fields.get(name);
  if (value === undefined) return document;
  const fields = new Map(document.fields);
  if (rest.length > 0) fields.set(name, redactedWithin(value, rest, redaction, hashKey));
  else if (redaction.action === "drop") fields.delete(name);
  else fields.set(name, redaction.action === "null" ? { kind: "null" } : hashed(value, hashKey));
  return { kind: "document", fields };
}

/** A path leads through arrays. */
function redactedWithin(value: BsonValue, path: readonly string[], redaction: Redaction, hashKey: string): BsonValue {
  if (value.kind === "document") return redactedFields(value, path, redaction, hashKey);
  if (value.kind !== "array") return value;
  return { kind: "array", items: value.items.map((item) => redactedWithin(item, path, redaction, hashKey)) };
}

function hashed(value: BsonValue, key: string): BsonValue {
  if (value.kind === "array") return { kind: "array", items: value.items.map((item) => hashed(item, key)) };
  if (value.kind === "document") {
    return { kind: "document", fields: new Map(Array.from(value.fields, ([name, each]) => [name, hashed(each, key)])) };
  }
  const text = textOf(value);
  if (text === undefined) return { kind: "null" };
  return { kind: "string", value: createHmac("sha256", key).update(text).digest("hex") };
}

/** The text that is hashed; undefined for values that have none. */
function textOf(value: BsonValue): string | undefined {
  const { kind } = value;
  if (kind === "string" || kind === "symbol") return value.value;
  if (kind === "boolean") return String(value.value);
  if (kind === "int32" || kind === "int64" || kind === "double") return numberText(String(value.value));
  if (kind === "decimal128") return numberText(value.text);
  if (kind === "objectId") return value.hex;
  if (kind === "binary") return uuidOf(value) ?? value.bytes.toString("base64");
  if (kind !== "date") return undefined;
  const text = toJson(PLAIN, value);
  return typeof text === "string" ? text : String(value.ms);
}

function numberText(text: string): string {
  const parts = decimalParts(text);
  if (parts === undefined) return text;
  const { sign, digits, exponent } = parts;
  if (digits === "") return "0";
  if (Math.abs(exponent) > MOST_ZEROS) return `${sign}${digits}e${exponent}`;
  if (exponent >= 0) return `${sign}${digits}${"0".repeat(exponent)}`;
  const padded = digits.padStart(1 - exponent, "0");
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}
