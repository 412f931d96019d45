import type { ChangeEvent, Version } from "../../schemas/change-event.ts";

/** The fields of a change stream event that Headrace uses. Documents are raw BSON. */
export interface StreamEvent {
  readonly operationType: string;
  /** Empty if the event is about the whole database. */
  readonly collection: string;
  /** The new name, if the event is a rename within the database. */
  readonly renamedTo: string | null;
  readonly version: Version;
  readonly documentKey: Uint8Array | null;
  /** The document after an insert or replace. Null if the event has none, as the event of an update. */
  readonly document: Uint8Array | null;
  /** Whether the event is part of a MongoDB transaction. All its events have the same time. */
  readonly inTransaction: boolean;
}

/** An event of one document. */
export interface DocumentStreamEvent extends StreamEvent {
  readonly operationType: "insert" | "update" | "replace" | "delete";
  readonly documentKey: Uint8Array;
}

/** A document to read once, in place of all events that a batch has for it. */
export interface ImageRead {
  readonly collection: string;
  /** The result of `KeyOf`. */
  readonly key: string;
  readonly documentKey: Uint8Array;
  /** The operation of the event if the document is found. */
  readonly op: "c" | "u";
}

export interface BatchPlan {
  /** Events that are published without a read, in the stream's order. */
  readonly events: readonly ChangeEvent[];
  readonly reads: readonly ImageRead[];
}

/** Gives the same text for `_id`s that MongoDB treats as equal. */
export type KeyOf = (documentKey: Uint8Array) => string;

/**
 * Decides which events of a batch are published as they are, and which documents are read at the batch's end. A key is
 * read once if any of its events
 * - has no document although the document exists: an update, or an insert too large for an event;
 * - belongs to a MongoDB transaction: its events share one time, and at that time the document has only one state;
 * - is not later than `readUpTo`: up to that time the key may already be published;
 * - has a document of a filtered collection: only MongoDB can tell whether it matches.
 * All events of such a key are dropped, because the document that is read is newer.
 * @param isFiltered whether a collection has a filter
 */
export function planImages(
  events: readonly DocumentStreamEvent[],
  keyOf: KeyOf,
  readUpTo: Version,
  isFiltered: (collection: string) => boolean,
): BatchPlan {
  const keyed = events.map((event) => {
    const key = keyOf(event.documentKey);
    return { event, key, id: `${event.collection}\0${key}` };
  });
  const firstOps = new Map<string, "c" | "u">();
  const reads = new Map<string, ImageRead>();
  for (const { event, key, id } of keyed) {
    const op = firstOps.get(id) ?? (event.operationType === "insert" ? "c" : "u");
    firstOps.set(id, op);
    if (!needsRead(event, readUpTo, isFiltered) || reads.has(id)) continue;
    reads.set(id, { collection: event.collection, key, documentKey: event.documentKey, op });
  }
  return {
    events: keyed.filter(({ id }) => !reads.has(id)).map(({ event }) => changeEvent(event)),
    reads: [...reads.values()],
  };
}

/** @param document as it was at `version`; null if it did not exist or did not match its collection's filter */
export function imageEvent({ op, ...read }: ImageRead, document: Uint8Array | null, version: Version): ChangeEvent {
  const { collection, documentKey } = read;
  return { op: document === null ? "d" : op, collection, documentKey, document, version };
}

/** The event of a document that cannot be read by its `_id`. It becomes a dead letter. */
export function unreadableEvent({ op, ...read }: ImageRead, version: Version): ChangeEvent {
  const { collection, documentKey } = read;
  return { op, collection, documentKey, document: null, version };
}

function needsRead(
  { operationType, collection, document, inTransaction, version }: DocumentStreamEvent,
  readUpTo: Version,
  isFiltered: (collection: string) => boolean,
): boolean {
  const mustBeRead = operationType !== "delete" && (document === null || isFiltered(collection));
  return mustBeRead || inTransaction || version <= readUpTo;
}

function changeEvent({ operationType, collection, documentKey, document, version }: DocumentStreamEvent): ChangeEvent {
  const op = operationType === "insert" ? "c" : operationType === "delete" ? "d" : "u";
  return { op, collection, documentKey, document, version };
}
