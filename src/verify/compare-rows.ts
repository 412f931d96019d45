import type { CollectionMapping, IdType } from "../schemas/mapping/mapping.ts";
import type { DocumentBatch, DocumentReader } from "./document-reader.ts";
import type { RowTexts, TableReader } from "./table-reader.ts";
import { readBson, readDocumentId, withoutNul } from "./values/bson.ts";
import type { BsonDocument } from "./values/bson.ts";
import { childColumns } from "./values/child-tables.ts";
import type { ComparedChild } from "./values/child-tables.ts";
import { comparedColumns } from "./values/document-row.ts";
import { expectedKey, idOfKey, mixedKey } from "./values/key.ts";
import { redacted } from "./values/redacted.ts";
import { RowsComparison } from "./values/rows-comparison.ts";

/** What is wrong with a key. */
export type Finding =
  | MissingRow
  | { readonly kind: "extra" }
  /** The tables of children have rows of it, but its own table has none. */
  | { readonly kind: "orphaned" }
  | { readonly kind: "different"; /** never empty */ readonly columns: readonly string[] };

export interface MissingRow {
  readonly kind: "missing";
  /** The `_id` cannot be a key. It is listed as its Extended JSON. */
  readonly isKeyless?: true;
}

/** A collection and its table. */
export interface ComparedCollection {
  readonly mapping: CollectionMapping;
  /** All of the mapping's. The reader of the table has them in this order. */
  readonly children: readonly ComparedChild[];
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
export async function compareBatch(compared: ComparedCollection, batch: DocumentBatch): Promise<ComparedBatch> {
  const byKey = new Map<string, Uint8Array>();
  const keyless: string[] = [];
  for (const raw of batch) {
    const id = readDocumentId(raw);
    const key = expectedKey(compared.idType, id);
    if (key === undefined) keyless.push(mixedKey(id.id));
    else byKey.set(key, raw);
  }
  const keys = [...byKey.keys()];
  const versions = new Map<string, bigint | null>(keys.map((key) => [key, null]));
  const rows = new BatchRows(compared, byKey);
  await readRows(compared, keys, {
    onRow(key, version, texts) {
      if (byKey.has(key)) versions.set(key, version);
      rows.addRow(key, texts);
    },
    onElement: (key, place, texts) => rows.addElement(key, place, texts),
  });
  return { versions, keyless, findings: rows.findings() };
}

/** What to do with each row of a document, and with each of its elements'. */
export interface RowsSink {
  onRow(key: string, version: bigint | null, texts: RowTexts): void;
  onElement(key: string, place: number, texts: RowTexts): void;
}

/** Reads the columns to compare of the rows of these keys, and of their elements. @throws HeadraceError */
export function readRows(
  { mapping, children, table }: ComparedCollection,
  keys: readonly string[],
  sink: RowsSink,
): Promise<void> {
  const onElement: RowsSink["onElement"] = (...element) => sink.onElement(...element);
  return table.rows(keys, comparedColumns(mapping), (...row) => sink.onRow(...row), {
    columns: children.map(childColumns),
    onElement,
  });
}

/** Compares the rows of a batch of documents. The rows of a document come together, so only one document is parsed. */
class BatchRows {
  readonly #compared: ComparedCollection;
  readonly #byKey: ReadonlyMap<string, Uint8Array>;
  readonly #comparisons = new Map<string, RowsComparison>();
  #last: { readonly key: string; readonly document: BsonDocument } | undefined;

  constructor(compared: ComparedCollection, byKey: ReadonlyMap<string, Uint8Array>) {
    this.#compared = compared;
    this.#byKey = byKey;
  }

  addRow(key: string, texts: RowTexts): void {
    const document = this.#documentOf(key);
    if (document !== undefined) this.#comparisonOf(key, document).addRow(document, texts);
  }

  addElement(key: string, place: number, texts: RowTexts): void {
    const document = this.#documentOf(key);
    if (document !== undefined) this.#comparisonOf(key, document).addElement(document, place, texts);
  }

  findings(): ReadonlyMap<string, Finding> {
    const findings = new Map<string, Finding>();
    for (const key of this.#byKey.keys()) {
      const comparison = this.#comparisons.get(key);
      const columns = comparison?.differing();
      if (columns === undefined) findings.set(key, { kind: "missing" });
      else if (columns.length > 0) findings.set(key, { kind: "different", columns });
    }
    return findings;
  }

  #documentOf(key: string): BsonDocument | undefined {
    if (this.#last?.key === key) return this.#last.document;
    const raw = this.#byKey.get(key);
    if (raw === undefined) return undefined;
    const document = readDocument(this.#compared, raw);
    this.#last = { key, document };
    return document;
  }

  #comparisonOf(key: string, document: BsonDocument): RowsComparison {
    const { mapping, children } = this.#compared;
    const comparison = this.#comparisons.get(key) ?? new RowsComparison(mapping, children, document);
    this.#comparisons.set(key, comparison);
    return comparison;
  }
}

/** A document as the rows must have it. */
export function readDocument({ mapping, nulText }: ComparedCollection, raw: Uint8Array): BsonDocument {
  const { redaction } = mapping;
  // Hashes are made before a NUL is replaced.
  return redaction === undefined
    ? readBson(raw, nulText)
    : withoutNul(redacted(readBson(raw, "\0"), redaction), nulText);
}

/** The `_id`s that find the documents of the keys. Keys that no document can have are left out. */
export function idsOf(idType: IdType, keys: readonly string[]): unknown[] {
  return keys.map((key) => idOfKey(idType, key)).filter((id) => id !== undefined);
}
