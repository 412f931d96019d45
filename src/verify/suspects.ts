import { isSnapshotGone } from "../producers/mongodb/errors.ts";
import type { Version } from "../schemas/change-event.ts";
import { compareBatch, idsOf, readDocument, readRows } from "./compare-rows.ts";
import type { ComparedCollection, Finding } from "./compare-rows.ts";
import type { RowTexts } from "./table-reader.ts";
import { readDocumentId } from "./values/bson.ts";
import { expectedKey } from "./values/key.ts";
import { RowsComparison } from "./values/rows-comparison.ts";

/**
 * A key must differ in this many rounds. One round can be wrong if a row is written or deleted during it, or if its
 * cluster time can no longer be read.
 */
export const ROUNDS = 3;
const PAGE_KEYS = 1_000;

/**
 * The keys that still differ after the pipeline has caught up. While documents are written, they are ahead of their
 * rows, and some always are. Therefore both are compared as of one cluster time: the time up to which the table has
 * everything, or the row's own version if that is newer.
 * @param waitUntilCaughtUp gives that time; null if the pipeline did not catch up: then the current state is compared, once
 * @throws HeadraceError
 */
export async function lastingFindings(
  compared: ComparedCollection,
  suspects: readonly string[],
  waitUntilCaughtUp: () => Promise<Version | null>,
): Promise<ReadonlyMap<string, Finding>> {
  let findings: ReadonlyMap<string, Finding> = new Map();
  for (let round = 1, keys = suspects; keys.length > 0 && round <= ROUNDS; round++) {
    const time = await waitUntilCaughtUp();
    findings = await lookAgain(compared, keys, time);
    if (time === null) break;
    keys = [...findings.keys()];
  }
  return findings;
}

async function lookAgain(
  compared: ComparedCollection,
  keys: readonly string[],
  time: Version | null,
): Promise<Map<string, Finding>> {
  const findings = new Map<string, Finding>();
  for (let from = 0; from < keys.length; from += PAGE_KEYS) {
    const page = keys.slice(from, from + PAGE_KEYS);
    const looked =
      (await unlessGone(() => look(compared, page, time), undefined)) ?? (await look(compared, page, null));
    for (const key of page) {
      const finding = looked.findings.get(key);
      const version = looked.versions.get(key) ?? null;
      const isNewer = time !== null && version !== null && version > time;
      const now = isNewer ? await unlessGone(() => lookAtNewer(compared, key, finding), finding) : finding;
      if (now !== undefined) findings.set(key, now);
    }
  }
  return findings;
}

interface Look {
  readonly findings: ReadonlyMap<string, Finding>;
  /** The versions of the rows, or of the deletes that the sink remembers; null if there is neither. */
  readonly versions: ReadonlyMap<string, bigint | null>;
}

/** Gives `otherwise` if the cluster time can no longer be read. The next round may be faster. */
async function unlessGone<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isSnapshotGone(error)) throw error;
    return otherwise;
  }
}

/** Compares the documents as of a time (null: as they are now) with the rows as they are now. */
async function look(compared: ComparedCollection, keys: readonly string[], time: Version | null): Promise<Look> {
  const { documents, table, idType } = compared;
  const findings = new Map<string, Finding>();
  const versions = new Map<string, bigint | null>();
  const withoutDocument = new Set(keys);
  for await (const batch of documents.byIds(idsOf(idType, keys), time)) {
    const found = await compareBatch(compared, batch);
    for (const [key, version] of found.versions) {
      // With a case-insensitive collation MongoDB also finds documents with other _ids.
      if (!withoutDocument.delete(key)) continue;
      versions.set(key, version);
      const finding = found.findings.get(key);
      if (finding !== undefined) findings.set(key, finding);
    }
  }
  await table.rows([...withoutDocument], [], (key, version) => {
    versions.set(key, version);
    findings.set(key, { kind: "extra" });
  });
  const missing = [...findings].filter(([, { kind }]) => kind === "missing").map(([key]) => key);
  for (const [key, version] of await table.deletions(missing)) versions.set(key, version);
  return { findings, versions };
}

/**
 * Compares a key whose row was written, or deleted, after the time of the round: the row must match the document as of
 * the row's version. Without a row, the document as of the remembered delete's version must not exist.
 */
async function lookAtNewer(
  compared: ComparedCollection,
  key: string,
  before: Finding | undefined,
): Promise<Finding | undefined> {
  const { mapping, children, table } = compared;
  let row: { readonly version: bigint | null; readonly texts: RowTexts } | undefined;
  const elements: { readonly place: number; readonly texts: RowTexts }[] = [];
  await readRows(compared, [key], {
    onRow: (_key, version, texts) => (row = { version, texts }),
    onElement: (_key, place, texts) => elements.push({ place, texts }),
  });
  const version = row?.version ?? (await table.deletions([key])).get(key);
  if (version === undefined) return before;
  const raw = await documentAt(compared, key, version);
  if (raw === undefined) return row === undefined ? undefined : { kind: "extra" };
  if (row === undefined) return { kind: "missing" };
  const document = readDocument(compared, raw);
  const comparison = new RowsComparison(mapping, children, document);
  comparison.addRow(document, row.texts);
  for (const { place, texts } of elements) comparison.addElement(document, place, texts);
  const columns = comparison.differing();
  return columns.length === 0 ? undefined : { kind: "different", columns };
}

async function documentAt(
  { documents, idType }: ComparedCollection,
  key: string,
  time: Version,
): Promise<Uint8Array | undefined> {
  for await (const batch of documents.byIds(idsOf(idType, [key]), time)) {
    const found = batch.find((raw) => expectedKey(idType, readDocumentId(raw)) === key);
    if (found !== undefined) return found;
  }
  return undefined;
}
