import { numberText } from "./comments.ts";
import type { DocumentSummary } from "./field-summary.ts";
import { findTable } from "./find-columns.ts";
import type { ArrayStyle, FindOptions, FoundChild, FoundColumn, FoundTable } from "./find-columns.ts";
import { columnNames, MOST_BYTES, shortened, tableName, uniqueName, uniqueNames, wantedName } from "./names.ts";
import type { NameStyle } from "./names.ts";

export interface ProposedColumn extends FoundColumn {
  readonly name: string;
}

/** Columns and child tables with names that are unique and that PostgreSQL takes. */
export interface ProposedTable {
  readonly columns: readonly ProposedColumn[];
  readonly children: readonly ProposedChild[];
  readonly notes: readonly string[];
}

export interface ProposedChild extends ProposedTable {
  /** Its table is `<parent's table>_<name>`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly comment: string;
}

export interface ProposedCollection extends ProposedTable {
  readonly name: string;
  readonly table: string;
  /** What was sampled. */
  readonly sampled: string;
}

export interface Style {
  readonly names: NameStyle;
  readonly arrays: ArrayStyle;
}

/** A collection with a sample of its documents. */
export interface SampledCollection {
  readonly name: string;
  readonly summary: DocumentSummary;
  /** False: the sample is of the first and the last documents. */
  readonly isRandom: boolean;
  /** How many documents were not well-formed BSON. */
  readonly unreadable: number;
}

/** What a table, or the config of it, has already. */
export interface Existing extends Pick<FindOptions, "declared"> {
  readonly table: string;
  readonly columns: Iterable<string>;
  readonly children: Iterable<string>;
}

/** A collection's table has a column for it. */
export const KEY_PATH: readonly string[] = ["_id"];

/** Bytes that a child's name needs at least, with the `_` in front of it. */
const CHILD_BYTES = 12;

/**
 * Proposes a table, with its children, for each collection.
 * @param tables names of other tables; those of the proposed ones are added
 */
export function proposeCollections(
  collections: readonly SampledCollection[],
  style: Style,
  tables: Set<string> = new Set(),
): ProposedCollection[] {
  const found = collections.map((sample) => ({
    name: sample.name,
    sampled: sampledText(sample),
    table: findCollection(sample.summary, style.arrays),
  }));
  const names = uniqueNames(
    found.map(({ name, table }) => {
      const wanted = shortened(tableName(name, style.names), roomOf(table));
      return { key: name, name: wanted, isOwn: wanted === name };
    }),
    { taken: tables, most: MOST_BYTES },
  );
  for (const table of names.values()) tables.add(table);
  return found.map(({ name, sampled, table }) => {
    const existing = { table: names.get(name) ?? name, columns: [], children: [] };
    const proposed = nameTable(table, existing, { names: style.names, tables });
    return { ...proposed, name, table: existing.table, sampled };
  });
}

/** Only a collection with columns can have children. */
function findCollection(summary: DocumentSummary, arrays: ArrayStyle): FoundTable {
  const found = findTable(summary, { arrays, declared: [KEY_PATH] });
  return found.columns.length > 0 ? found : findTable(summary, { arrays: "jsonb", declared: [KEY_PATH] });
}

function sampledText({ summary: { documents }, isRandom, unreadable }: SampledCollection): string {
  if (documents === 0) return "no documents yet";
  const number = documents === 1 ? "1 document" : `${numberText(documents)} documents`;
  const ends = isRandom ? "" : ", the first and the last by _id, because a random sample took too long";
  return `sampled: ${number}${ends}${unreadable === 0 ? "" : `; ${numberText(unreadable)} are not well-formed BSON`}`;
}

/** Proposes what a table does not have yet. @param tables as for `proposeCollections` */
export function proposeAdditions(
  summary: DocumentSummary,
  existing: Existing,
  { names, arrays, tables }: Style & { readonly tables: Set<string> },
): ProposedTable {
  const { declared = [], table } = existing;
  const found = findTable(summary, { arrays, declared });
  const isTooLong = Buffer.byteLength(table) > roomOf(found);
  const fitting = isTooLong ? findTable(summary, { arrays: "jsonb", declared }) : found;
  return nameTable(fitting, existing, { names, tables });
}

interface Naming {
  readonly names: NameStyle;
  readonly tables: Set<string>;
}

function nameTable({ columns, children, notes }: FoundTable, existing: Existing, naming: Naming): ProposedTable {
  const names = columnNames(
    columns.map(({ path }) => path),
    naming.names,
    [...existing.columns, ...existing.children],
  );
  return {
    columns: columns.map((column, index) => ({ ...column, name: names[index] ?? "" })),
    children: nameChildren(children, { ...existing, columns: [...existing.columns, ...names] }, naming),
    notes,
  };
}

function nameChildren(children: readonly FoundChild[], existing: Existing, naming: Naming): ProposedChild[] {
  const { tables, names } = naming;
  const used = new Set([...existing.columns, ...existing.children]);
  return children.map((child) => {
    const wanted = wantedName(child.path, names);
    const most = roomOf(child) - Buffer.byteLength(existing.table) - 1;
    const isTaken = (name: string) => used.has(name) || tables.has(`${existing.table}_${name}`);
    const name = uniqueName(wanted, most, isTaken);
    const table = `${existing.table}_${name}`;
    used.add(name);
    tables.add(table);
    const below = nameTable(child, { table, columns: [], children: [] }, naming);
    return { ...below, name, path: child.path, comment: child.comment };
  });
}

/** How many bytes the name of a table may have, so that the names of its children also fit. */
function roomOf(table: FoundTable): number {
  return MOST_BYTES - CHILD_BYTES * levelsBelow(table);
}

function levelsBelow({ children }: FoundTable): number {
  return children.reduce((most, child) => Math.max(most, 1 + levelsBelow(child)), 0);
}
