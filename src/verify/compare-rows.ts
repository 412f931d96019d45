import type { CollectionMapping, IdType } from "../schemas/mapping/mapping.ts";
import type { DocumentBatch, DocumentReader } from "./document-reader.ts";
import type { TableReader } from "./table-reader.ts";
import { readBson, readDocumentId } from "./values/bson.ts";
import { comparedColumns, differingColumns } from "./values/document-row.ts";
import { expectedKey, idOfKey, mixedKey } from "./values/key.ts";

/** What is wrong with a key. */
export type Finding =
  | MissingRow
  | { readonly kind: "extra" }
  | { readonly kind: "different"; /** never empty */ readonly columns: readonly string[] };

export interface MissingRow {
  readonly kind: "missing";
  /** The `_id` cannot be a key. It is listed as its Extended JSON. */
  readonly isKeyless?: true;
}

/** A collection and its table. */
export interface ComparedCollection {
  readonly mapping: CollectionMapping;
  readonly idType: IdType;
  /** What replaces a NUL character in PostgreSQL. */
  readonly nulText: string;
  readonly documents: DocumentReader;
  readonly table: TableReader;
}

export interface ComparedBatch {
  /** The documents' keys with the versions of their rows; null if there is no row, or it has no version. */
  readonly versions: ReadonlyMap<string, bigint | null>;
  /** The `_id`s that cannot be keys, as canonical Extended JSON. */
  readonly keyless: readonly string[];
  readonly findings: ReadonlyMap<string, Finding>;
}

/** Compares documents with the rows that their keys have now. @throws HeadraceError */
export async function compareBatch(
  { mapping, idType, nulText, table }: ComparedCollection,
  batch: DocumentBatch,
): Promise<ComparedBatch> {
  const byKey = new Map<string, Uint8Array>();
  const keyless: string[] = [];
  for (const raw of batch) {
    const id = readDocumentId(raw);
    const key = expectedKey(idType, id);
    if (key === undefined) keyless.push(mixedKey(id.id));
    else byKey.set(key, raw);
  }
  const keys = [...byKey.keys()];
  const versions = new Map<string, bigint | null>(keys.map((key) => [key, null]));
  const findings = new Map<string, Finding>(keys.map((key) => [key, { kind: "missing" }]));
  await table.rows(keys, comparedColumns(mapping), (key, version, texts) => {
    const raw = byKey.get(key);
    if (raw === undefined) return;
    versions.set(key, version);
    const columns = differingColumns(mapping, readBson(raw, nulText), texts);
    if (columns.length === 0) findings.delete(key);
    else findings.set(key, { kind: "different", columns });
  });
  return { versions, keyless, findings };
}

/** The `_id`s that find the documents of the keys. Keys that no document can have are left out. */
export function idsOf(idType: IdType, keys: readonly string[]): unknown[] {
  return keys.map((key) => idOfKey(idType, key)).filter((id) => id !== undefined);
}
