import type { ChildMapping, ColumnMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument, BsonValue } from "./bson.ts";
import { expectedOf } from "./columns.ts";
import { EXTENDED, toJson } from "./json-forms.ts";
import { isSameJson, parseJson } from "./json.ts";
import { valueAt } from "./value-at.ts";

/** How the fields of a document, or of an element, are mapped. */
export type MappedFields = Pick<ChildMapping, "columns" | "children">;

/** One text for each column, as PostgreSQL prints it; null for NULL. */
export type Texts = readonly (string | null)[];

/**
 * The columns in which a row does not match a document. The columns, the children and `_extra` together are the document: a
 * value that fits its column must be there, an array with a table of its own is in neither, everything else must be in
 * `_extra`, and nothing in both.
 * @param row the columns, then `_extra`
 * @param apart a field that has a place of its own
 */
export function differingFields(
  { columns, children }: MappedFields,
  document: BsonDocument,
  row: Texts,
  apart?: string,
): readonly string[] {
  const differing: string[] = [];
  const held: Held = { whole: false, fields: new Map() };
  columns.forEach((column, i) => {
    const outcome = compareColumn(column, valueAt(document, column.path), row[i] ?? null);
    if (!outcome.equal) differing.push(column.name);
    if (outcome.holds) hold(held, column.path);
  });
  for (const { path } of children) if (isArrayOrNull(valueAt(document, path))) hold(held, path);
  if (apart !== undefined) hold(held, [apart]);
  const rest = restOf(document, held);
  const expected = rest === undefined || rest.fields.size === 0 ? undefined : rest;
  if (!isExtra(expected, row[columns.length] ?? null)) differing.push("_extra");
  return differing;
}

/**
 * Whether a row's column holds a value. `holds`: the value must be in the column, so `_extra` must not have it.
 * @param text the column's
 */
export function compareColumn(
  { type }: ColumnMapping,
  value: BsonValue | undefined,
  text: string | null,
): { readonly equal: boolean; readonly holds: boolean } {
  if (value === undefined || value.kind === "null") return { equal: text === null, holds: value !== undefined };
  const holds = expectedOf(type, value);
  if (holds === undefined) return { equal: text === null, holds: false };
  return { equal: text !== null && holds(text), holds: true };
}

/** Whether `_extra` is exactly a value; undefined: nothing, which is SQL's NULL and not JSON's null. */
export function isExtra(value: BsonValue | undefined, text: string | null): boolean {
  if (value === undefined || text === null) return value === undefined && text === null;
  return isSameJson(toJson(EXTENDED, value), parseJson(text));
}

function isArrayOrNull(value: BsonValue | undefined): boolean {
  return value?.kind === "array" || value?.kind === "null";
}

/** The parts of a document that have a place besides `_extra`: all of it, or some of its fields. */
interface Held {
  whole: boolean;
  readonly fields: Map<string, Held>;
}

function hold(held: Held, path: readonly string[]): void {
  let at = held;
  for (const name of path) {
    const next: Held = at.fields.get(name) ?? { whole: false, fields: new Map() };
    at.fields.set(name, next);
    at = next;
  }
  at.whole = true;
}

/** A document without the parts that are held; undefined if everything is. */
function restOf(document: BsonDocument, held: Held): BsonDocument | undefined {
  if (held.fields.size === 0) return document;
  const fields = new Map<string, BsonValue>();
  for (const [name, value] of document.fields) {
    const inner = held.fields.get(name);
    if (inner?.whole === true) continue;
    const rest = inner !== undefined && value.kind === "document" ? restOf(value, inner) : value;
    if (rest !== undefined) fields.set(name, rest);
  }
  return fields.size === 0 && document.fields.size > 0 ? undefined : { kind: "document", fields };
}
