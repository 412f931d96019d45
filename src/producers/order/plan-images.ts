import type { ChangeEvent, Version } from "../../schemas/change-event.ts";

/** An event of the change stream as far as it is used; documents in raw BSON. */
export interface StreamEvent {
  readonly operationType: string;
  /** Empty where the event is about the whole database. */
  readonly collection: string;
  /** Of a rename within the database. */
  readonly renamedTo: string | null;
  readonly version: Version;
  readonly documentKey: Uint8Array | null;
  /** The document after an insert or replace; null where the event came without, as an update's does. */
  readonly document: Uint8Array | null;
  /** All events of a MongoDB transaction have one time. */
  readonly inTransaction: boolean;
}

/** An event of one document. */
export interface DocumentStreamEvent extends StreamEvent {
  readonly operationType: "insert" | "update" | "replace" | "delete";
  readonly documentKey: Uint8Array;
}

/** A document to read, for all events that a batch has of it. */
export interface ImageRead {
  readonly collection: string;
  /** As `KeyOf` gives it. */
  readonly key: string;
  readonly documentKey: Uint8Array;
  /** What the event is when the document is found. */
  readonly op: "c" | "u";
}

export interface BatchPlan {
  /** Events that hold what is to be known of their keys, in the stream's order. */
  readonly events: readonly ChangeEvent[];
  readonly reads: readonly ImageRead[];
}

/** One text for what MongoDB holds to be one `_id`. */
export type KeyOf = (documentKey: Uint8Array) => string;

/**
 * What of a batch is published as it stands and which documents are read at the batch's end. A key is read
 * once where any of its events
 * - leaves a document that it does not hold: an update, or what was too large for an event;
 * - belongs to a MongoDB transaction: its events share one time, at which the document has only one state;
 * - is not later than `readUpTo`, up to which the key may have been published before.
 * Its other events are dropped: the state that is read is newer than theirs.
 */
export function planImages(events: readonly DocumentStreamEvent[], keyOf: KeyOf, readUpTo: Version): BatchPlan {
  const keyed = events.map((event) => {
    const key = keyOf(event.documentKey);
    return { event, key, id: `${event.collection}\0${key}` };
  });
  const firstOps = new Map<string, "c" | "u">();
  const reads = new Map<string, ImageRead>();
  for (const { event, key, id } of keyed) {
    const op = firstOps.get(id) ?? (event.operationType === "insert" ? "c" : "u");
    firstOps.set(id, op);
    if (!needsRead(event, readUpTo) || reads.has(id)) continue;
    reads.set(id, { collection: event.collection, key, documentKey: event.documentKey, op });
  }
  return {
    events: keyed.filter(({ id }) => !reads.has(id)).map(({ event }) => changeEvent(event)),
    reads: [...reads.values()],
  };
}

/** @param document as it was at `version`; null where it was not there. */
export function imageEvent({ op, ...read }: ImageRead, document: Uint8Array | null, version: Version): ChangeEvent {
  const { collection, documentKey } = read;
  return { op: document === null ? "d" : op, collection, documentKey, document, version };
}

/** An event for a document that cannot be asked for by its `_id`: a dead letter. */
export function unreadableEvent({ op, ...read }: ImageRead, version: Version): ChangeEvent {
  const { collection, documentKey } = read;
  return { op, collection, documentKey, document: null, version };
}

function needsRead(event: DocumentStreamEvent, readUpTo: Version): boolean {
  const lacksDocument = event.document === null && event.operationType !== "delete";
  return lacksDocument || event.inTransaction || event.version <= readUpTo;
}

function changeEvent({ operationType, collection, documentKey, document, version }: DocumentStreamEvent): ChangeEvent {
  const op = operationType === "insert" ? "c" : operationType === "delete" ? "d" : "u";
  return { op, collection, documentKey, document, version };
}
