import type { IdType } from "./collection-schema.ts";

/** The id type that both ends of an `_id` index (raw BSON documents) show; undefined where there are none. */
export function idTypeOf(_ends: readonly Uint8Array[]): IdType | undefined {
  throw new Error("not built yet");
}

/**
 * A document's key as the `_id` column holds it, as text; one text for what MongoDB holds equal.
 * @param documentKey a raw BSON document with the `_id`.
 * @throws ContractError ID_TYPE_MISMATCH where the `_id` is of another type than the collection's others,
 *   KEY_INVALID where it cannot be a key.
 */
export function canonicalKey(_idType: IdType, _documentKey: Uint8Array): string {
  throw new Error("not built yet");
}

/** The PostgreSQL type of the `_id` column. */
export function keyColumnType(idType: IdType): "text" | "bigint" | "uuid" {
  return idType === "integer" ? "bigint" : idType === "uuid" ? "uuid" : "text";
}

/** A BSON value that MongoDB holds equal to the `_id` of a canonical key, for look-ups with the driver. */
export function keyToId(_idType: IdType, _key: string): unknown {
  throw new Error("not built yet");
}
