import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument } from "./bson.ts";
import { differingFields } from "./fields.ts";
import type { Texts } from "./fields.ts";
import { PLAIN, toJson } from "./json-forms.ts";
import { isSameJson, parseJson } from "./json.ts";

/** The columns to compare, in the order of the row's texts. */
export function comparedColumns(mapping: CollectionMapping): readonly string[] {
  return mapping.mode === "document" ? ["doc"] : [...mapping.columns.map(({ name }) => name), "_extra"];
}

/**
 * The columns in which a row does not match its document; none if they are equal. `_id`, the columns, the children and
 * `_extra` together are the document. The children have tables of their own: `differingElement` compares these.
 * @param row one text for each of `comparedColumns`
 */
export function differingColumns(mapping: CollectionMapping, document: BsonDocument, row: Texts): readonly string[] {
  if (mapping.mode === "document") {
    const [doc = null] = row;
    return doc !== null && isSameJson(toJson(PLAIN, document), parseJson(doc)) ? [] : ["doc"];
  }
  return differingFields(mapping, document, row, "_id");
}
