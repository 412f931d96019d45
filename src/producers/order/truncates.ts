import type { TruncateEvent, Version } from "../../schemas/change-event.ts";
import type { DocumentStreamEvent, StreamEvent } from "./plan-images.ts";

/** Events of documents, and those that end what a collection was. */
export interface SplitEvents {
  readonly truncates: readonly TruncateEvent[];
  readonly events: readonly DocumentStreamEvent[];
}

/** What a stream event is: of a document, of whole collections (by name; of none, if the list is empty). */
export type Meaning = DocumentStreamEvent | readonly string[];

/**
 * Takes the truncates out of consecutive events. What a collection had before its last one counts no more; hence
 * they can all go first, and the events that are left stand for the collections as they are at the end.
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
