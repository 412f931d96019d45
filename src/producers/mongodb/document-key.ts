import { BSON } from "mongodb";
import { HeadraceError, errorKind } from "../../errors/error.ts";
import { canonicalKey } from "../../schemas/keys/document-key.ts";

const READ_ID_OPTIONS = { promoteValues: false, bsonRegExp: true, validation: { utf8: false as const } };

/** A key that has no canonical form is told apart by its bytes; publishing it makes a dead letter. */
export function keyOf(documentKey: Uint8Array): string {
  try {
    return canonicalKey("mixed", documentKey);
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    return Buffer.from(keyDocument(documentKey)).toString("base64");
  }
}

/**
 * Not so where a name occurs twice in the `_id`, its text is no UTF-8, or it holds a date outside JavaScript's
 * range: a query for it would find nothing, or another document.
 */
export function isSentBackUnchanged(documentKey: Uint8Array): boolean {
  return Buffer.compare(BSON.serialize({ _id: readId(documentKey) }), documentKey) === 0;
}

/** An `_id` as the driver's own type, so that it is sent back with the BSON type that it came with. */
export function readId(documentKey: Uint8Array): unknown {
  const { _id } = BSON.deserialize(documentKey, READ_ID_OPTIONS);
  return _id;
}

/** `{_id}` of a document. */
export function keyDocument(document: Uint8Array): Uint8Array {
  for (const [, nameOffset, nameLength, offset, length] of BSON.onDemand.parseToElements(document)) {
    if (nameLength !== 3 || Buffer.from(document.buffer, document.byteOffset + nameOffset, 3).toString() !== "_id") {
      continue;
    }
    const element = document.subarray(nameOffset - 1, offset + length);
    const key = Buffer.alloc(element.byteLength + 5);
    key.writeInt32LE(key.byteLength);
    key.set(element, 4);
    return key;
  }
  throw new HeadraceError("DOCUMENT_WITHOUT_ID", {
    message: "MongoDB gave a document without an _id.",
  });
}
