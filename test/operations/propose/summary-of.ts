import { BSON, type Document } from "mongodb";
import { DocumentSummary } from "../../../src/operations/propose/field-summary.ts";
import type { SampledCollection } from "../../../src/operations/propose/propose-tables.ts";

/** A document as the server sends it. */
export function bsonOf(document: Document): Buffer {
  return Buffer.from(BSON.serialize(document));
}

export function summaryOf(documents: readonly Document[]): DocumentSummary {
  const summary = new DocumentSummary();
  for (const document of documents) summary.add(bsonOf(document));
  return summary;
}

/** A random sample of a collection. */
export function sampleOf(name: string, documents: readonly Document[]): SampledCollection {
  return { name, summary: summaryOf(documents), isRandom: true, unreadable: 0 };
}
