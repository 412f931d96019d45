import {
  BinarySubtype,
  BsonType,
  cstringEnd,
  documentEnd,
  isUuid,
  valueEnd,
} from "../../schemas/formats/bson-reader.ts";

/** What a value is to a proposal: its BSON type, by MongoDB's name for it; `uuid` for a Binary that is one. */
export type Kind = string;

/** Kinds that one column type holds together. */
export type Family = "text" | "number" | "boolean" | "date" | "bytes" | "object" | "array" | "other";

const NAMES: ReadonlyMap<number, Kind> = new Map([
  [BsonType.double, "double"],
  [BsonType.string, "string"],
  [BsonType.document, "object"],
  [BsonType.array, "array"],
  [BsonType.undefined, "undefined"],
  [BsonType.objectId, "objectId"],
  [BsonType.boolean, "bool"],
  [BsonType.date, "date"],
  [BsonType.null, "null"],
  [BsonType.regex, "regex"],
  [BsonType.dbPointer, "dbPointer"],
  [BsonType.code, "javascript"],
  [BsonType.symbol, "symbol"],
  [BsonType.codeWithScope, "javascriptWithScope"],
  [BsonType.int32, "int"],
  [BsonType.timestamp, "timestamp"],
  [BsonType.int64, "long"],
  [BsonType.decimal128, "decimal"],
  [BsonType.maxKey, "maxKey"],
  [BsonType.minKey, "minKey"],
]);

const FAMILIES: Readonly<Record<Kind, Family>> = {
  string: "text",
  objectId: "text",
  uuid: "text",
  int: "number",
  long: "number",
  double: "number",
  decimal: "number",
  bool: "boolean",
  date: "date",
  binData: "bytes",
  object: "object",
  array: "array",
};

/** The kind of the value in `bytes` from `start` to `end`. */
export function kindOf(bytes: Buffer, type: number, start: number, end: number): Kind {
  if (type !== BsonType.binary) return NAMES.get(type) ?? "unknown";
  if (isUuid(bytes, start, end)) return "uuid";
  const subtype = bytes[start + 4];
  // A bytea column takes neither of them.
  return subtype === BinarySubtype.uuid || subtype === BinarySubtype.legacyUuid ? "legacy uuid" : "binData";
}

export function familyOf(kind: Kind): Family {
  return FAMILIES[kind] ?? "other";
}

type Visit = (type: number, start: number, end: number, name: () => string) => void;

/**
 * Visits each element of the document or array at `start`.
 * @throws HeadraceError DOCUMENT_UNENCODABLE
 */
export function visitElements(bytes: Buffer, start: number, visit: Visit): void {
  const last = documentEnd(bytes, start, bytes.length) - 1;
  for (let at = start + 4; at < last;) {
    const nameStart = at + 1;
    const type = bytes[at] as number;
    const valueStart = cstringEnd(bytes, nameStart, last);
    at = valueEnd(bytes, type, valueStart, last);
    visit(type, valueStart, at, () => bytes.toString("utf8", nameStart, valueStart - 1));
  }
}
