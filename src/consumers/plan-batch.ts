import { HeadraceError } from "../runtime/errors.ts";
import type { Change, ColumnValue, RowSchema } from "../schemas/row-schema.ts";

/** A change that leaves a row. */
export interface Upsert extends Change {
  readonly values: readonly ColumnValue[];
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
 * @throws HeadraceError TRUNCATE_UNSUPPORTED
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
    else group.deletes.push(change);
  }
  return [...groups.values()];
}

function lastPerKey(changes: readonly Change[]): Iterable<Change> {
  const last = new Map<string, Change>();
  for (const change of changes) {
    if (change.op === "t") throw truncateUnsupported();
    const known = last.get(change.key);
    if (known === undefined || change.version >= known.version) last.set(change.key, change);
  }
  return last.values();
}

function isUpsert(change: Change): change is Upsert {
  return change.values !== null;
}

function truncateUnsupported(): HeadraceError {
  return new HeadraceError("TRUNCATE_UNSUPPORTED", "fatal", {
    message: "The topic holds a truncate record (op t), which this version of Headrace can't apply.",
    remedy: "Upgrade the consumer to the producer's version.",
  });
}
