import type { Finding } from "./compare-rows.ts";

/** The most keys in each list. All keys are counted. */
const NAMED_KEYS = 100;

/** The result of comparing collections with tables. `headrace verify --json` prints it, so the shape must not change. */
export interface VerifyResult {
  /** Whether no key is missing, extra, different or orphaned, except keys with an open dead letter. */
  readonly equal: boolean;
  /**
   * Whether the pipeline had caught up before the last comparison of the keys that differed; false if it did not in time.
   * Null if nothing differed at the first comparison.
   */
  readonly caughtUp: boolean | null;
  readonly collections: readonly CollectionResult[];
}

/**
 * Keys are texts as in the `_id` column; an `_id` that cannot be a key is its canonical Extended JSON. Each list has the
 * first 100 keys, and each count is of all keys.
 */
export interface CollectionResult {
  readonly collection: string;
  /** `schema.table` */
  readonly table: string;
  /** How many documents were read. */
  readonly documents: number;
  /** How many rows were read. */
  readonly rows: number;
  /** Documents without a row. */
  readonly missing: readonly string[];
  readonly missingCount: number;
  /** Rows without a document. */
  readonly extra: readonly string[];
  readonly extraCount: number;
  /** Rows that do not match their documents. */
  readonly different: readonly string[];
  readonly differentCount: number;
  /**
   * For each column, the number of these rows in which it is wrong. `items.price` and `items._extra` are columns of the child
   * `items`; `items` itself counts the documents with another number of elements, or with an element at another position.
   */
  readonly differentColumns: Readonly<Record<string, number>>;
  /** Keys in the tables of children that are not in `table`: elements without their document's row. */
  readonly orphaned: readonly string[];
  readonly orphanedCount: number;
  /** Missing, extra or different keys with an open dead letter. They are in no other list. */
  readonly deadLettered: readonly string[];
  readonly deadLetteredCount: number;
}

/** Gathers the findings of one collection. */
export class CollectionTally {
  readonly #lists = {
    missing: new KeyList(),
    extra: new KeyList(),
    different: new KeyList(),
    orphaned: new KeyList(),
    deadLettered: new KeyList(),
  };
  readonly #columns = new Map<string, number>();

  add(key: string, finding: Finding, hasDeadLetter: boolean): void {
    this.#lists[hasDeadLetter ? "deadLettered" : finding.kind].add(key);
    if (hasDeadLetter || finding.kind !== "different") return;
    for (const column of finding.columns) this.#columns.set(column, (this.#columns.get(column) ?? 0) + 1);
  }

  result(of: Pick<CollectionResult, "collection" | "table" | "documents" | "rows">): CollectionResult {
    const { missing, extra, different, orphaned, deadLettered } = this.#lists;
    return {
      ...of,
      missing: missing.keys,
      missingCount: missing.count,
      extra: extra.keys,
      extraCount: extra.count,
      different: different.keys,
      differentCount: different.count,
      differentColumns: Object.fromEntries(this.#columns),
      orphaned: orphaned.keys,
      orphanedCount: orphaned.count,
      deadLettered: deadLettered.keys,
      deadLetteredCount: deadLettered.count,
    };
  }
}

class KeyList {
  readonly keys: string[] = [];
  count = 0;

  add(key: string): void {
    this.count++;
    if (this.keys.length < NAMED_KEYS) this.keys.push(key);
  }
}

export function isEqual({ missingCount, extraCount, differentCount, orphanedCount }: CollectionResult): boolean {
  return missingCount + extraCount + differentCount + orphanedCount === 0;
}
