import { BSON } from "bson";
import type { Document } from "bson";

/** The filter of a collection, parsed; null: all its documents are replicated. */
export type FilterOf = (collection: string) => Document | null;

/**
 * A filter as the text that a mapping keeps: canonical Extended JSON.
 * @param filter a MongoDB query in Extended JSON, relaxed or canonical, as JavaScript values
 * @throws BSONError if it is no valid Extended JSON
 */
export function filterText(filter: object): string {
  return BSON.EJSON.stringify(BSON.EJSON.parse(JSON.stringify(filter), { relaxed: false }), { relaxed: false });
}

/** The query that a mapping's filter stands for. */
export function parseFilter(text: string): Document {
  return BSON.EJSON.parse(text, { relaxed: false }) as Document;
}

/** Parses each collection's filter once. */
export function parsedFilters(textOf: (collection: string) => string | undefined): FilterOf {
  const parsed = new Map<string, Document | null>();
  return (collection) => {
    let filter = parsed.get(collection);
    if (filter === undefined) {
      const text = textOf(collection);
      filter = text === undefined ? null : parseFilter(text);
      parsed.set(collection, filter);
    }
    return filter;
  };
}

/** The query for the documents that match both. MongoDB decides about both in one read, at one time. */
export function matchingBoth(query: Document, filter: Document | null): Document {
  return filter === null ? query : { $and: [query, filter] };
}
