import { BSON } from "mongodb";
import { HeadraceError, errorKind } from "../../errors/error.ts";
import { canonicalKey } from "../../schemas/keys/document-key.ts";

const READ_ID_OPTIONS = { promoteValues: false, bsonRegExp: true, validation: { utf8: false as const } };

/** The canonical text of a key. If it has none, its bytes in base64; publishing such a key makes a dead letter. */
export function keyOf(documentKey: Uint8Array): string {
  try {
    return canonicalKey("mixed", documentKey);
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    return Buffer.from(keyDocument(documentKey)).toString("base64");
  }
}

/**
 * Whether the driver sends an `_id` back as it came. It does not if a name occurs twice in the `_id`, a text is not
 * UTF-8, or a date is outside JavaScript's range. A query for such an `_id` would find nothing or another document.
 */
export function isSentBackUnchanged(documentKey: Uint8Array): boolean {
  return Buffer.compare(BSON.serialize({ _id: readId(documentKey) }), documentKey) === 0;
}

/** An `_id` as the driver's own type, which keeps its BSON type when it is sent back. */
export function readId(documentKey: Uint8Array): unknown {
  const { _id } = BSON.deserialize(documentKey, READ_ID_OPTIONS);
  return _id;
}

/** `{_id}` of a document, in raw BSON. @throws HeadraceError DOCUMENT_WITHOUT_ID */
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
