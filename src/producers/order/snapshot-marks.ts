import type { DocumentEvent, Position } from "../../schemas/change-event.ts";
import type { Chunk } from "./chunk-reader.ts";

/**
 * Marks the last document of a collection's snapshot. Nothing is held back for it: a snapshot whose last chunk has nothing to
 * publish ends without a mark.
 * @param events of chunks that end with `last`
 * @param after the position after them
 */
export function withEndMarked(
  events: readonly DocumentEvent[],
  last: Pick<Chunk, "selection" | "isLast">,
  after: Pick<Position, "snapshots">,
): readonly DocumentEvent[] {
  const end = events.at(-1);
  if (end === undefined || last.selection !== null || !last.isLast) return events;
  const isOnly = [...after.snapshots.values()].every(({ state }) => state === "done");
  return [...events.slice(0, -1), { ...end, snapshot: isOnly ? "last" : "last_in_data_collection" }];
}
