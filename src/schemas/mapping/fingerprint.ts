import { createHash } from "node:crypto";
import type { CollectionMapping } from "./mapping.ts";

/**
 * The same text for mappings that make the same rows of the same documents. The order of the columns does not count. The
 * `_id` type is not part of it: it cannot be changed at all.
 */
export function mappingFingerprint({ mode, columns }: CollectionMapping): string {
  const sorted = columns.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const content = [mode, ...sorted.map(({ name, path, type }) => [name, path, type.sql])];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}
