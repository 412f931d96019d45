import { isUtf8 } from "node:buffer";
import type { Type, types } from "avsc";
import { z } from "zod";
import type { AvroReader } from "../formats/avro-reader.ts";
import { avroTypeName } from "../formats/avro-type.ts";
import { idAvroTypeName } from "../mapping/envelope.ts";
import { ID_TYPES, type IdType } from "../mapping/mapping.ts";
import type { RegisteredSchema } from "../registry/registry.ts";

/** Reads keys of one registered key schema. */
export interface KeyReader {
  readonly idType: IdType;
  /**
   * Returns the canonical key as text (`Change.key`); null for the key of a truncate.
   * @throws TypeError if the bytes are not such a key
   */
  readonly readKey: (reader: AvroReader) => string | null;
}

/** The property `headrace.idType` of a schema. */
export const idTypeName = z.enum(ID_TYPES);

const keyDefinition = z.object({
  "headrace.idType": idTypeName,
  fields: z.tuple([z.object({ name: z.literal("_id") })]),
});

/** @throws Error if Headrace does not write such keys */
export function keyReader({ definition, type }: RegisteredSchema): KeyReader {
  const idType = keyDefinition.parse(definition)["headrace.idType"];
  const avroName = idAvroTypeName(idType);
  const [id] = (type as types.RecordType).fields;
  if (id !== undefined && isNullable(id.type, avroName)) return { idType, readKey: readNullKey };
  if (id === undefined || avroTypeName(id.type) !== avroName)
    throw new TypeError("`_id` has another type than headrace.idType");
  const readId = avroName === "long" ? readLongText : readText;
  return {
    idType,
    readKey(reader) {
      const text = readId(reader);
      reader.end();
      return text;
    },
  };
}

/** A truncate's key: `truncateKeyDefinition`. */
function isNullable(type: Type, avroName: string): boolean {
  if (avroTypeName(type) !== "union") return false;
  const names = (type as types.UnwrappedUnionType).types.map(avroTypeName);
  return names.length === 2 && names[0] === "null" && names[1] === avroName;
}

function readNullKey(reader: AvroReader): null {
  if (reader.readBranch(2) !== 0) throw new TypeError("the key of a truncate has an _id");
  reader.end();
  return null;
}

function readLongText(reader: AvroReader): string {
  reader.readLong();
  return String(reader.isSafe ? reader.number : reader.bigint);
}

/** Refuses bytes that are not UTF-8. A decoder would replace them by U+FFFD, and two keys could become the same. */
function readText(reader: AvroReader): string {
  const length = reader.readLength();
  const { bytes, position: start } = reader;
  const end = start + length;
  reader.position = end;
  let all = 0;
  for (let at = start; at < end; at++) all |= bytes[at] as number;
  if (all < 0x80) return bytes.toString("latin1", start, end);
  if (!isUtf8(bytes.subarray(start, end))) throw new TypeError("a key is not UTF-8");
  return bytes.toString("utf8", start, end);
}
