import type { Version } from "../schemas/change-event.ts";
import { ROUNDS } from "./suspects.ts";
import type { TableReader } from "./table-reader.ts";

const PAGE_KEYS = 1_000;
/** The most keys that are looked at again at a time. */
const SUSPECTS = 10_000;

export interface OrphanCheck {
  readonly table: TableReader;
  /** As in `CollectionCheck`. */
  waitUntilCaughtUp(): Promise<Version | null>;
  recordOrphans(keys: readonly string[]): void;
}

/**
 * Finds the keys that the tables of children have, but the documents' table has not. A document and its elements are deleted
 * in one transaction, but a sweep deletes the elements later: only what stays after the pipeline has caught up counts.
 * @throws HeadraceError
 */
export async function checkOrphans(check: OrphanCheck): Promise<void> {
  let suspects: string[] = [];
  for (let after: string | null = null; ;) {
    const { last, orphans } = await check.table.orphansAfter(after, PAGE_KEYS);
    suspects.push(...orphans);
    if (suspects.length >= SUSPECTS || last === null) {
      await settle(check, suspects);
      suspects = [];
    }
    if (last === null) return;
    after = last;
  }
}

async function settle(check: OrphanCheck, suspects: readonly string[]): Promise<void> {
  let keys = suspects;
  for (let round = 1; keys.length > 0 && round <= ROUNDS; round++) {
    const time = await check.waitUntilCaughtUp();
    keys = await check.table.orphansAmong(keys);
    if (time === null) break;
  }
  if (keys.length > 0) check.recordOrphans(keys);
}
