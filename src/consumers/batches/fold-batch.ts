import type { Change, RowSchema } from "../../schemas/row-schema.ts";

/** A change that writes a row. */
export interface Upsert extends Change {
  readonly cells: Buffer;
}

/** The changes that are written with one RowSchema. */
export interface RowGroup {
  readonly rowSchema: RowSchema;
  readonly upserts: readonly Upsert[];
  readonly deletes: readonly Change[];
}

/**
 * Keeps the last change of each key, and groups these by RowSchema (by identity). The last change is the one with the
 * highest version; of equal versions, the later one. So each key is in the result once: PostgreSQL refuses a statement
 * that writes a key twice, and the order of the statements does not matter. A truncate writes no row, but has a group,
 * so that its table is created before it is swept.
 * @param changes in log order
 */
export function foldBatch(changes: readonly Change[]): readonly RowGroup[] {
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
 * The truncate with the highest version; it covers the others. Its place among the changes does not matter for the
 * result: older changes are dropped and newer ones stay. `cutBatch` puts it first so that rows of a new snapshot do not
 * disappear for a moment.
 */
export function newestTruncate(changes: readonly Change[]): Change | undefined {
  let newest: Change | undefined;
  for (const change of changes) {
    if (change.op === "t" && change.version >= (newest?.version ?? 0n)) newest = change;
  }
  return newest;
}

/** The changes of a group that are not older than a truncate of version `floor`. */
export function aboveFloor(group: RowGroup, floor: bigint | undefined): RowGroup {
  if (floor === undefined) return group;
  const isAbove = ({ version }: Change): boolean => version >= floor;
  return { ...group, upserts: group.upserts.filter(isAbove), deletes: group.deletes.filter(isAbove) };
}

function lastPerKey(changes: readonly Change[]): Iterable<Change> {
  const last = new Map<string | null, Change>();
  for (const change of changes) {
    // A truncate has the key "", which a document may have, too.
    const key = change.op === "t" ? null : change.key;
    const known = last.get(key);
    if (known === undefined || change.version >= known.version) last.set(key, change);
  }
  return last.values();
}

function isUpsert(change: Change): change is Upsert {
  return change.cells !== null;
}
