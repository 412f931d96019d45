import type { Change, RowSchema } from "../../schemas/row-schema.ts";

/** A change that leaves a row. */
export interface Upsert extends Change {
  readonly cells: Buffer;
}

/** What is written under one RowSchema. */
export interface RowGroup {
  readonly rowSchema: RowSchema;
  readonly upserts: readonly Upsert[];
  readonly deletes: readonly Change[];
}

/**
 * Folds changes, in log order, to the last one of each key, and groups these by RowSchema (by identity). The last
 * one is that of the highest version, of equal versions the later one. Each key stands once in the whole plan: a
 * statement that meets a key twice is refused by PostgreSQL, and between statements the order no longer matters.
 * A truncate has its group too, so that the table is there which is to be swept; nothing is written for it.
 */
export function planBatch(changes: readonly Change[]): readonly RowGroup[] {
  const groups = new Map<RowSchema, { rowSchema: RowSchema; upserts: Upsert[]; deletes: Change[] }>();
  for (const change of lastPerKey(changes)) {
    let group = groups.get(change.rowSchema);
    if (group === undefined) {
      group = { rowSchema: change.rowSchema, upserts: [], deletes: [] };
      groups.set(change.rowSchema, group);
    }
    if (isUpsert(change)) group.upserts.push(change);
    else if (change.op !== "t") group.deletes.push(change);
  }
  return [...groups.values()];
}

/**
 * The truncate of the highest version. It stands for the others. In the end it doesn't matter where it stands among the
 * changes: what is older than it goes, before it in the log as behind it, and what is not stays. But only what is
 * in the table before it is marked never looks deleted: see `cutBatch`.
 */
export function newestTruncate(changes: readonly Change[]): Change | undefined {
  let newest: Change | undefined;
  for (const change of changes) {
    if (change.op === "t" && change.version >= (newest?.version ?? 0n)) newest = change;
  }
  return newest;
}

/** What of a group is not older than a truncate of version `floor`. */
export function aboveFloor(group: RowGroup, floor: bigint | undefined): RowGroup {
  if (floor === undefined) return group;
  const isAbove = ({ version }: Change): boolean => version >= floor;
  return { ...group, upserts: group.upserts.filter(isAbove), deletes: group.deletes.filter(isAbove) };
}

function lastPerKey(changes: readonly Change[]): Iterable<Change> {
  const last = new Map<string | null, Change>();
  for (const change of changes) {
    // A truncate's key is the empty string, which a document may have, too.
    const key = change.op === "t" ? null : change.key;
    const known = last.get(key);
    if (known === undefined || change.version >= known.version) last.set(key, change);
  }
  return last.values();
}

function isUpsert(change: Change): change is Upsert {
  return change.cells !== null;
}
