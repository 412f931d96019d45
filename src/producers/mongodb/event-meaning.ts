import { HeadraceError } from "../../errors/error.ts";
import type { StreamEvent } from "../order/plan-images.ts";
import type { Meaning } from "../order/truncates.ts";
import { isReplicated } from "./collections.ts";

/** What becomes of the table of a collection that is dropped, renamed or replaced: it follows, or Headrace stops. */
export type OnDrop = "apply" | "fail";

export interface MeaningOptions {
  /** Null: every collection of the database. */
  readonly collections: readonly string[] | null;
  readonly onDrop: OnDrop;
}

/**
 * What an event is about: a document, or the collections that are not what they were. Of a dropped database each
 * collection has a drop of its own before; what follows it, `dropDatabase` and `invalidate`, says nothing new.
 * @throws HeadraceError where it cannot be followed: going on would leave rows behind that no event ever deletes
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
    case "rename":
      if (onDrop === "fail") throw collectionLost(event);
      return [collection, ...(renamedTo === null ? [] : [renamedTo])].filter((name) => isReplicated(name, collections));
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
      return notFollowed("COLLECTION_DROPPED", `The collection ${quoted(collection)} was dropped.`);
    case "rename": {
      const names = `The collection ${quoted(collection)} was renamed to ${quoted(renamedTo ?? "")}`;
      return notFollowed("COLLECTION_RENAMED", `${names} ($out does this too).`);
    }
    default:
      return notFollowed("COLLECTION_DROPPED", "The database was dropped, with every collection in it.");
  }
}

function unknownEvent(what: string): HeadraceError {
  return new HeadraceError("EVENT_UNKNOWN", {
    message: `MongoDB's change stream has an event of a kind that Headrace does not know: ${what}.`,
  });
}

function notFollowed(code: "COLLECTION_DROPPED" | "COLLECTION_RENAMED", message: string): HeadraceError {
  return new HeadraceError(code, {
    message,
    remedy:
      "With `mongodb.onDrop: fail` Headrace does not carry this over to the tables. Set it to `apply`, which empties them; or leave the collection out of `collections` (list the others there) and see to its table yourself; or, to copy everything anew, delete the pipeline's positions topic and empty the tables.",
  });
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
