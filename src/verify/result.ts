import type { Finding } from "./compare-rows.ts";

/** Keys that are named; the rest is counted. */
const NAMED_KEYS = 100;

/** What comparing a pipeline's collections with its tables gave; `headrace verify --json` prints it. */
export interface VerifyResult {
  /** Whether nothing is missing, extra or different but for keys with an open dead letter. */
  readonly equal: boolean;
  /**
   * Whether the pipeline had applied everything before what differed was looked at for the last time; false where it
   * had not within the time given. Null where nothing differed at the first look.
   */
  readonly caughtUp: boolean | null;
  readonly collections: readonly CollectionResult[];
}

/**
 * Keys are texts as the `_id` column holds them; of an `_id` that cannot be a key, its canonical Extended JSON. Of
 * each list the first 100 keys are given, and the count of all.
 */
export interface CollectionResult {
  readonly collection: string;
  /** `schema.table` */
  readonly table: string;
  /** Documents that were read. */
  readonly documents: number;
  /** Rows that were read. */
  readonly rows: number;
  /** Documents that have no row. */
  readonly missing: readonly string[];
  readonly missingCount: number;
  /** Rows that have no document. */
  readonly extra: readonly string[];
  readonly extraCount: number;
  /** Rows that are not what their documents say. */
  readonly different: readonly string[];
  readonly differentCount: number;
  /** In how many of those rows each column is wrong. */
  readonly differentColumns: Readonly<Record<string, number>>;
  /** What is missing, extra or different, but has an open dead letter; in none of the other lists. */
  readonly deadLettered: readonly string[];
  readonly deadLetteredCount: number;
}

/** Gathers what is found in one collection. */
export class CollectionTally {
  readonly #lists = {
    missing: new KeyList(),
    extra: new KeyList(),
    different: new KeyList(),
    deadLettered: new KeyList(),
  };
  readonly #columns = new Map<string, number>();

  add(key: string, finding: Finding, hasDeadLetter: boolean): void {
    this.#lists[hasDeadLetter ? "deadLettered" : finding.kind].add(key);
    if (hasDeadLetter || finding.kind !== "different") return;
    for (const column of finding.columns) this.#columns.set(column, (this.#columns.get(column) ?? 0) + 1);
  }

  result(of: Pick<CollectionResult, "collection" | "table" | "documents" | "rows">): CollectionResult {
    const { missing, extra, different, deadLettered } = this.#lists;
    return {
      ...of,
      missing: missing.keys,
      missingCount: missing.count,
      extra: extra.keys,
      extraCount: extra.count,
      different: different.keys,
      differentCount: different.count,
      differentColumns: Object.fromEntries(this.#columns),
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

export function isEqual({ missingCount, extraCount, differentCount }: CollectionResult): boolean {
  return missingCount + extraCount + differentCount === 0;
}
