// The mapping of the model's collections: with columns if the name starts with `typed`, else as whole documents.
import type { Fields } from "./model-history.ts";

const isTyped = (collection: string): boolean => collection.startsWith("typed");

/** The config of a collection. */
export function mappingOf(collection: string): { readonly columns?: Readonly<Record<string, unknown>> } {
  if (!isTyped(collection)) return {};
  return { columns: { n: "bigint", text: "text", a: { path: "nested.a", type: "integer" } } };
}

/** The definitions of the table's columns, without `_id` and `_version`. */
export function columnsOf(table: string): string {
  return isTyped(table) ? "n bigint, text text, a integer, _extra jsonb" : "doc jsonb";
}

/** An SQL expression for the number that every write changes. */
export function numberIn(table: string): string {
  return isTyped(table) ? "n" : "(doc->>'n')::bigint";
}

/** The row, without `_id` and `_version`, that a document has in its table. */
export function rowOf(table: string, key: string, fields: Fields): Record<string, unknown> {
  if (!isTyped(table)) return { doc: { _id: key, ...fields } };
  const { n, text = null, nested, ...rest } = fields;
  const { a = null, b } = (nested ?? {}) as { a?: number; b?: string };
  const extra = { ...rest, ...(b === undefined ? {} : { nested: { b } }) };
  return { n, text, a, _extra: Object.keys(extra).length === 0 ? null : extra };
}
