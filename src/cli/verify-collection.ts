import type { CollectionMapping, IdType } from "../schemas/collection-schema.ts";
import { readBson, readId } from "./verify-bson.ts";
import { comparedColumns, differingColumns } from "./verify-compare.ts";
import type { DocumentBatch, DocumentReader } from "./verify-documents.ts";
import { expectedKey, idOfKey, mixedKey } from "./verify-key.ts";
import type { TableReader } from "./verify-table.ts";

/** Keys that are looked at again at a time. This and a batch of documents bound the memory. */
const SUSPECTS = 10_000;
/** How often a key has to differ, each time after the pipeline has caught up, before it counts. */
const ROUNDS = 5;
const PAGE_KEYS = 1_000;

/** What is wrong with a key. */
export type Finding =
  | {
      readonly kind: "missing";
      /** its `_id` can be no key: it stands under its Extended JSON */ readonly isKeyless?: true;
    }
  | { readonly kind: "extra" }
  | { readonly kind: "different"; /** never empty */ readonly columns: readonly string[] };

export interface CollectionCheck {
  readonly mapping: CollectionMapping;
  readonly idType: IdType;
  readonly documents: DocumentReader;
  readonly table: TableReader;
  /** Waits until everything that was in MongoDB at the call is in the table; false where it has given up. */
  waitUntilCaughtUp(): Promise<boolean>;
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

  /** Looks at the keys again until they are equal, or have differed in every round. */
  async settle(): Promise<void> {
    const keys = [...this.#keys];
    const keyless = this.#keyless.map((id): [string, Finding] => [id, { kind: "missing", isKeyless: true }]);
    this.#keys = new Set();
    this.#keyless = [];
    const findings = new Map([...(await this.#lastingFindings(keys)), ...keyless]);
    if (findings.size > 0) await this.#check.record(findings);
  }

  async #lastingFindings(suspects: readonly string[]): Promise<ReadonlyMap<string, Finding>> {
    let findings = new Map<string, Finding>();
    for (let round = 1, keys = suspects; keys.length > 0 && round <= ROUNDS; round++) {
      const caughtUp = await this.#check.waitUntilCaughtUp();
      findings = await examine(this.#check, keys);
      if (!caughtUp) break;
      keys = [...findings.keys()];
    }
    return findings;
  }
}

/** What is wrong with these keys now. */
async function examine(check: CollectionCheck, keys: readonly string[]): Promise<Map<string, Finding>> {
  const findings = new Map<string, Finding>();
  for (let from = 0; from < keys.length; from += PAGE_KEYS) {
    const page = keys.slice(from, from + PAGE_KEYS);
    const withoutDocument = new Set(page);
    for await (const batch of check.documents.byIds(idsOf(check.idType, page))) {
      const compared = await compareBatch(check, batch);
      for (const key of compared.keys) {
        const finding = compared.findings.get(key);
        // Under a case-insensitive collation MongoDB also finds documents that were not asked for.
        if (withoutDocument.delete(key) && finding !== undefined) findings.set(key, finding);
      }
    }
    await check.table.rows([...withoutDocument], [], (key) => findings.set(key, { kind: "extra" }));
  }
  return findings;
}

function idsOf(idType: IdType, keys: readonly string[]): unknown[] {
  return keys.map((key) => idOfKey(idType, key)).filter((id) => id !== undefined);
}

interface ComparedBatch {
  /** The documents' keys. */
  readonly keys: readonly string[];
  /** The `_id`s, as canonical Extended JSON, that can be no keys. */
  readonly keyless: readonly string[];
  readonly findings: ReadonlyMap<string, Finding>;
}

async function compareBatch({ mapping, idType, table }: CollectionCheck, batch: DocumentBatch): Promise<ComparedBatch> {
  const byKey = new Map<string, Uint8Array>();
  const keyless: string[] = [];
  for (const raw of batch) {
    const id = readId(raw);
    const key = expectedKey(idType, id);
    if (key === undefined) keyless.push(mixedKey(id.id));
    else byKey.set(key, raw);
  }
  const findings = new Map<string, Finding>(Array.from(byKey.keys(), (key) => [key, { kind: "missing" }]));
  await table.rows([...byKey.keys()], comparedColumns(mapping), (key, texts) => {
    const raw = byKey.get(key);
    if (raw === undefined) return;
    const columns = differingColumns(mapping, readBson(raw), texts);
    if (columns.length === 0) findings.delete(key);
    else findings.set(key, { kind: "different", columns });
  });
  return { keys: [...byKey.keys()], keyless, findings };
}
