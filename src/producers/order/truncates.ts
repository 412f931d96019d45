import type { TruncateEvent, Version } from "../../schemas/change-event.ts";
import type { DocumentStreamEvent, StreamEvent } from "./plan-images.ts";

/** The events of documents, and the truncates that go before them. */
export interface SplitEvents {
  readonly truncates: readonly TruncateEvent[];
  readonly events: readonly DocumentStreamEvent[];
}

/** What a stream event is about: a document, or the collections that it empties (an empty list: none). */
export type Meaning = DocumentStreamEvent | readonly string[];

/**
 * Takes the truncates out of consecutive events. All events of a collection before its last truncate are dropped, so
 * the truncates can be published first and the remaining events after them.
 */
export function splitTruncates(
  events: readonly StreamEvent[],
  meaningOf: (event: StreamEvent) => Meaning,
): SplitEvents {
  const truncated = new Map<string, Version>();
  let documents: DocumentStreamEvent[] = [];
  for (const event of events) {
    const meaning = meaningOf(event);
    if (!isNames(meaning)) {
      documents.push(meaning);
      continue;
    }
    for (const collection of meaning) truncated.set(collection, event.version);
    documents = documents.filter(({ collection }) => !meaning.includes(collection));
  }
  return {
    truncates: [...truncated].map(([collection, version]) => ({ op: "t", collection, version })),
    events: documents,
  };
}

function isNames(meaning: Meaning): meaning is readonly string[] {
  return Array.isArray(meaning);
}
