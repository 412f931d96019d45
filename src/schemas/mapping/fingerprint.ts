import { createHash } from "node:crypto";
import type { ChildMapping, CollectionMapping, ColumnMapping, RedactionRules } from "./mapping.ts";

/**
 * The same text for mappings that make the same rows of the same documents. The order of the columns does not count. The
 * `_id` type is not part of it: it cannot be changed at all. A filter is a part of its own, so that `isOtherFilter` can tell
 * whether it has changed. Stored positions have it: a mapping without what version 0.1.0 did not know has the one that it
 * always had.
 */
export function mappingFingerprint({ mode, columns, children, redaction, filter }: CollectionMapping): string {
  const content = [
    mode,
    ...columnsContent(columns),
    ...(children.length === 0 ? [] : [childrenContent(children)]),
    ...(redaction === undefined ? [] : [redactionContent(redaction)]),
  ];
  return [JSON.stringify(content), ...(filter === undefined ? [] : [filter])].map(hashOf).join(FILTER_MARK);
}

/** Whether the filter is another one: then rows may be there whose documents are absent by the new one. */
export function isOtherFilter(fingerprint: string, other: string): boolean {
  return fingerprint.split(FILTER_MARK)[1] !== other.split(FILTER_MARK)[1];
}

const FILTER_MARK = "-";

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function columnsContent(columns: readonly ColumnMapping[]): readonly unknown[] {
  return byName(columns).map(({ name, path, type }) => [name, path, type.sql]);
}

/** Without the foreign keys, which change no row. */
function childrenContent(children: readonly ChildMapping[]): unknown {
  return {
    children: byName(children).map(({ name, path, elements, columns, children: inner }) => [
      name,
      path,
      elements,
      columnsContent(columns),
      childrenContent(inner),
    ]),
  };
}

/** Another key makes other hashes. */
function redactionContent({ redactions, hashKey }: RedactionRules): unknown {
  const sorted = redactions.map(({ path, action }) => JSON.stringify([path, action])).toSorted();
  return { redactions: sorted, key: hashOf(hashKey) };
}

function byName<T extends { readonly name: string }>(named: readonly T[]): readonly T[] {
  return named.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
