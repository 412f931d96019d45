import type { CollectionMapping, ColumnMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument, BsonValue } from "./bson.ts";
import { expectedOf } from "./columns.ts";
import { EXTENDED, PLAIN, toJson } from "./json-forms.ts";
import { isSameJson, parseJson } from "./json.ts";

/** The columns to compare, in the order of the row's texts. */
export function comparedColumns(mapping: CollectionMapping): readonly string[] {
  return mapping.mode === "document" ? ["doc"] : [...mapping.columns.map(({ name }) => name), "_extra"];
}

/**
 * The columns in which a row does not match its document; none if they are equal.
 *
 * `_id`, the columns and `_extra` together are the document: a value that fits its column must be there, everything else
 * must be in `_extra`, and nothing in both.
 * @param row one text, as PostgreSQL prints it, for each of `comparedColumns`; null for NULL
 */
export function differingColumns(
  mapping: CollectionMapping,
  document: BsonDocument,
  row: readonly (string | null)[],
): readonly string[] {
  if (mapping.mode === "document") {
    const [doc = null] = row;
    return doc !== null && isSameJson(toJson(PLAIN, document), parseJson(doc)) ? [] : ["doc"];
  }
  const differing: string[] = [];
  const held: Held = { whole: false, fields: new Map() };
  mapping.columns.forEach((column, i) => {
    const outcome = compareColumn(column, valueAt(document, column.path), row[i] ?? null);
    if (!outcome.equal) differing.push(column.name);
    if (outcome.holds) hold(held, column.path);
  });
  if (!extraIsRest(document, held, row[mapping.columns.length] ?? null)) differing.push("_extra");
  return differing;
}

/** `holds`: the value must be in the column, so `_extra` must not have it. */
function compareColumn(
  { type }: ColumnMapping,
  value: BsonValue | undefined,
  text: string | null,
): { readonly equal: boolean; readonly holds: boolean } {
  if (value === undefined || value.kind === "null") return { equal: text === null, holds: value !== undefined };
  const holds = expectedOf(type, value);
  if (holds === undefined) return { equal: text === null, holds: false };
  return { equal: text !== null && holds(text), holds: true };
}

function valueAt(document: BsonDocument, path: readonly string[]): BsonValue | undefined {
  let value: BsonValue | undefined = document;
  for (const name of path) {
    if (value?.kind !== "document") return undefined;
    value = value.fields.get(name);
  }
  return value;
}

/** The parts of a document that the columns hold: all of it, or some of its fields. */
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

function extraIsRest(document: BsonDocument, held: Held, extra: string | null): boolean {
  const fields = new Map(document.fields);
  fields.delete("_id");
  const rest = restOf({ kind: "document", fields }, held);
  if (rest === undefined || rest.fields.size === 0) return extra === null;
  return extra !== null && isSameJson(toJson(EXTENDED, rest), parseJson(extra));
}

/** A document without the parts that the columns hold; undefined if they hold everything. */
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
