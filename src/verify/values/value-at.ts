import type { BsonDocument, BsonValue } from "./bson.ts";

/** The value at a path; undefined if there is none. Arrays have no paths in them. */
export function valueAt(document: BsonDocument, path: readonly string[]): BsonValue | undefined {
  let value: BsonValue | undefined = document;
  for (const name of path) {
    if (value?.kind !== "document") return undefined;
    value = value.fields.get(name);
  }
  return value;
}
