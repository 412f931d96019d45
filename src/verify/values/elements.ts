import type { ChildMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument, BsonValue } from "./bson.ts";
import { valueAt } from "./value-at.ts";

/**
 * The element at the positions that a child's row has, one for each of the arrays; undefined if the document has none
 * there.
 */
export function elementAt(
  document: BsonDocument,
  arrays: readonly ChildMapping[],
  positions: readonly (string | null)[],
): BsonValue | undefined {
  let at: BsonValue | undefined = document;
  for (const [level, { path }] of arrays.entries()) {
    const position = positions[level];
    if (typeof position !== "string") return undefined;
    at = itemsAt(at, path)[Number(position)];
  }
  return at;
}

/** How many elements the innermost arrays of a document have. Each must have a row. */
export function countElements(document: BsonDocument, arrays: readonly ChildMapping[]): number {
  let around: readonly BsonValue[] = [document];
  for (const { path } of arrays.slice(0, -1)) around = around.flatMap((each) => itemsAt(each, path));
  const path = arrays.at(-1)?.path ?? [];
  return around.reduce((count, each) => count + itemsAt(each, path).length, 0);
}

/** The items of the array at a path; none if there is something else. */
function itemsAt(value: BsonValue | undefined, path: readonly string[]): readonly BsonValue[] {
  const array = value?.kind === "document" ? valueAt(value, path) : undefined;
  return array?.kind === "array" ? array.items : [];
}
