import type { Version } from "../schemas/change-event.ts";
import { compareBatch, idsOf } from "./compare-rows.ts";
import type { ComparedCollection, Finding } from "./compare-rows.ts";
import { lastingFindings } from "./suspects.ts";
import { readId } from "./values/bson.ts";
import { expectedKey } from "./values/key.ts";

/** Keys that are looked at again at a time. This and a batch of documents bound the memory. */
const SUSPECTS = 10_000;
const PAGE_KEYS = 1_000;

export interface CollectionCheck extends ComparedCollection {
  /**
   * Waits until everything that was in MongoDB at the call is in the table, and gives a cluster time up to which that
   * is so; null where it has given up.
   */
  waitUntilCaughtUp(): Promise<Version | null>;
  /** Called for keys that differ for good, each once; not without any. */
  record(findings: ReadonlyMap<string, Finding>): Promise<void>;
}

/**
 * Compares a collection with its table: first each document with its row, then each row's key with the collection.
 * What differs is looked at again after the pipeline has caught up.
 * @returns how many documents and rows there were
 */
export async function checkCollection(check: CollectionCheck): Promise<{ documents: number; rows: number }> {
  const suspects = new Suspects(check);
  const documents = await checkDocuments(check, suspects);
  const rows = await checkKeys(check, suspects);
  await suspects.settle();
  return { documents, rows };
}

async function checkDocuments(check: CollectionCheck, suspects: Suspects): Promise<number> {
  let documents = 0;
  for await (const batch of check.documents.all()) {
    documents += batch.length;
    const { keyless, findings } = await compareBatch(check, batch);
    await suspects.add(findings.keys(), keyless);
  }
  return documents;
}

async function checkKeys(check: CollectionCheck, suspects: Suspects): Promise<number> {
  let rows = 0;
  for (let after: string | null = null; ;) {
    const keys = await check.table.keysAfter(after, PAGE_KEYS);
    const last = keys.at(-1);
    if (last === undefined) return rows;
    rows += keys.length;
    after = last;
    const found = new Set<string>();
    for await (const batch of check.documents.idsAmong(idsOf(check.idType, keys))) {
      for (const raw of batch) found.add(expectedKey(check.idType, readId(raw)) ?? "");
    }
    await suspects.add(keys.filter((key) => !found.has(key)));
  }
}

/** Keys that differ for now. */
class Suspects {
  readonly #check: CollectionCheck;
  #keys = new Set<string>();
  /** No row can ever stand for these, so that looking again is of no use. */
  #keyless: string[] = [];

  constructor(check: CollectionCheck) {
    this.#check = check;
  }

  async add(keys: Iterable<string>, keyless: readonly string[] = []): Promise<void> {
    for (const key of keys) this.#keys.add(key);
    this.#keyless.push(...keyless);
    if (this.#keys.size + this.#keyless.length >= SUSPECTS) await this.settle();
  }

  /** Looks at the keys again, and records what is wrong for good. */
  async settle(): Promise<void> {
    const keys = [...this.#keys];
    const keyless = this.#keyless.map((id): [string, Finding] => [id, { kind: "missing", isKeyless: true }]);
    this.#keys = new Set();
    this.#keyless = [];
    const lasting = await lastingFindings(this.#check, keys, () => this.#check.waitUntilCaughtUp());
    const findings = new Map([...lasting, ...keyless]);
    if (findings.size > 0) await this.#check.record(findings);
  }
}
