import type { Version } from "../schemas/change-event.ts";
import { compareBatch, idsOf } from "./compare-rows.ts";
import type { ComparedCollection, Finding } from "./compare-rows.ts";
import { checkOrphans } from "./orphans.ts";
import { lastingFindings } from "./suspects.ts";
import { readDocumentId } from "./values/bson.ts";
import { expectedKey } from "./values/key.ts";

/** The most keys that are compared again at a time. This and one batch of documents limit the memory. */
const SUSPECTS = 10_000;
const PAGE_KEYS = 1_000;

export interface CollectionCheck extends ComparedCollection {
  /**
   * Waits until the table has everything that was in MongoDB when the wait began, and gives that cluster time; null if it
   * took too long.
   */
  waitUntilCaughtUp(): Promise<Version | null>;
  /** Called with the keys that still differ at the end, each once; never with an empty map. */
  record(findings: ReadonlyMap<string, Finding>): Promise<void>;
  /** The same for the keys of orphans: elements whose document has no row. They may also be missing. */
  recordOrphans(keys: readonly string[]): void;
}

/**
 * Compares a collection with its tables: first each document with its rows, then each row's key with the collection, then
 * each element's with the rows. Keys that differ are compared again after the pipeline has caught up.
 * @returns the numbers of documents and rows
 * @throws HeadraceError
 */
export async function checkCollection(check: CollectionCheck): Promise<{ documents: number; rows: number }> {
  const suspects = new Suspects(check);
  const documents = await checkDocuments(check, suspects);
  const rows = await checkKeys(check, suspects);
  await suspects.settle();
  await checkOrphans(check);
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
      for (const raw of batch) found.add(expectedKey(check.idType, readDocumentId(raw)) ?? "");
    }
    await suspects.add(keys.filter((key) => !found.has(key)));
  }
}

/** Gathers the keys that differ at the first comparison, and compares them again. */
class Suspects {
  readonly #check: CollectionCheck;
  #keys = new Set<string>();
  /** `_id`s that can have no row. They are not compared again. */
  #keyless: string[] = [];

  constructor(check: CollectionCheck) {
    this.#check = check;
  }

  async add(keys: Iterable<string>, keyless: readonly string[] = []): Promise<void> {
    for (const key of keys) this.#keys.add(key);
    this.#keyless.push(...keyless);
    if (this.#keys.size + this.#keyless.length >= SUSPECTS) await this.settle();
  }

  /** Compares the keys again, and records those that still differ. */
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
