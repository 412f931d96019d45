import { HeadraceError } from "../../errors/error.ts";
import type { CollectionSelection } from "../../schemas/collection-selection.ts";
import type { StreamEvent } from "../order/plan-images.ts";
import type { Meaning } from "../order/truncates.ts";
import { isReplicated } from "./collections.ts";

/** When a collection is dropped, renamed or replaced: empty its table, or stop. */
export type OnDrop = "apply" | "fail";

export interface MeaningOptions {
  readonly collections: CollectionSelection;
  readonly onDrop: OnDrop;
}

/**
 * What an event is about: a document, or the collections that it drops, renames or replaces. When a database is dropped,
 * each collection has a drop event of its own; `dropDatabase` and `invalidate` follow and add nothing.
 * @throws HeadraceError COLLECTION_DROPPED or COLLECTION_RENAMED with `onDrop: fail`: without a stop, rows would remain
 * that no event ever deletes. EVENT_UNKNOWN for an event of another kind.
 */
export function meaningOf(event: StreamEvent, { collections, onDrop }: MeaningOptions): Meaning {
  const { operationType, documentKey, collection, renamedTo } = event;
  switch (operationType) {
    case "insert":
    case "update":
    case "replace":
    case "delete":
      if (documentKey === null) throw unknownEvent(`${operationType} without documentKey`);
      return { ...event, operationType, documentKey };
    case "drop":
    case "rename": {
      const names = [collection, ...(renamedTo === null ? [] : [renamedTo])];
      const replicated = names.filter((name) => isReplicated(name, collections));
      if (onDrop === "fail" && replicated.length > 0) throw collectionLost(event);
      return replicated;
    }
    case "dropDatabase":
    case "invalidate":
      if (onDrop === "fail") throw collectionLost(event);
      return [];
    default:
      throw unknownEvent(operationType);
  }
}

function collectionLost({ operationType, collection, renamedTo }: StreamEvent): HeadraceError {
  switch (operationType) {
    case "drop":
      return new HeadraceError("COLLECTION_DROPPED", { message: `The collection ${quoted(collection)} was dropped.` });
    case "rename": {
      const names = `The collection ${quoted(collection)} was renamed to ${quoted(renamedTo ?? "")}`;
      return new HeadraceError("COLLECTION_RENAMED", { message: `${names} ($out does this, too).` });
    }
    default:
      return new HeadraceError("COLLECTION_DROPPED", { message: "The database was dropped with all its collections." });
  }
}

function unknownEvent(what: string): HeadraceError {
  return new HeadraceError("EVENT_UNKNOWN", {
    message: `MongoDB's change stream has an event that Headrace does not know: ${what}.`,
  });
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
