import { BSON } from "bson";

/** Longer texts are cut: they are for people, who find the document by its beginning. */
const MAX_CHARACTERS = 1_000;

/**
 * An `_id` that cannot be a key, for people: as Extended JSON. Another `_id` may have the same text. Null if the bytes
 * are not BSON, or have no `_id`.
 * @param documentKey a raw BSON document with the `_id`
 */
export function unusableIdText(documentKey: Uint8Array): string | null {
  try {
    const { _id } = BSON.deserialize(documentKey, { promoteValues: false, validation: { utf8: false } });
    return _id === undefined ? null : BSON.EJSON.stringify(_id, { relaxed: false }).slice(0, MAX_CHARACTERS);
  } catch {
    return null;
  }
}
