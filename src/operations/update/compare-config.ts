import { EXTRA_COLUMN, VALUE_COLUMN } from "../../schemas/mapping/column-names.ts";
import { chooseType } from "../propose/column-type.ts";
import { bounded, kindsText, MISFIT_MARK, misfitsText, numberText } from "../propose/comments.ts";
import { DocumentSummary } from "../propose/field-summary.ts";
import type { FieldSummary } from "../propose/field-summary.ts";
import type { ArrayStyle } from "../propose/find-columns.ts";
import { snakeCase } from "../propose/names.ts";
import type { NameStyle } from "../propose/names.ts";
import { KEY_PATH, proposeAdditions, proposeCollections } from "../propose/propose-tables.ts";
import type { ProposedTable, SampledCollection, Style } from "../propose/propose-tables.ts";
import { childLines, collectionLines, columnLine, linesText } from "../propose/yaml-text.ts";
import { declaredCollections, declaredTables, hasAllOthers } from "./declared.ts";
import type { DeclaredTable } from "./declared.ts";
import { EditedYaml } from "./yaml-insertion.ts";
import type { Addition, Insertion } from "./yaml-insertion.ts";

/** A collection with a sample of its documents, and how many of them do not fit the columns that the file declares. */
export interface ComparedCollection extends SampledCollection {
  readonly misfits: ReadonlyMap<string, number>;
}

export interface CompareOptions {
  /** Undefined: as the names that the file has. */
  readonly names: NameStyle | undefined;
  readonly arrays: ArrayStyle;
  /** Collections that cannot be replicated, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** What a file lacks. */
export interface Comparison {
  readonly insertions: readonly Insertion[];
  /** What was found, a line each. */
  readonly report: readonly string[];
}

/**
 * Compares a config file with what its database looks like. What the file says is never changed or removed: columns,
 * child tables, collections and comments are only added.
 * @param text of a valid config
 */
export function compareConfig(
  text: string,
  collections: readonly ComparedCollection[],
  options: CompareOptions,
): Comparison {
  const file = new EditedYaml(text);
  const declared = declaredCollections(file.data);
  if (declared === null) return { insertions: [], report: [WHOLE_DATABASE] };
  return new Comparer(file, declared, options).compare(collections);
}

const WHOLE_DATABASE =
  "the file lists no collections, so that each has one jsonb column; for typed columns, write a new file with --out";
const DOCUMENT_MODE =
  "in document mode; for typed columns, delete its lines from the file and run headrace init --update again";

class Comparer {
  readonly #file: EditedYaml;
  readonly #declared: ReadonlyMap<string, DeclaredTable>;
  readonly #leftOut: ReadonlyMap<string, string>;
  readonly #style: Style & { readonly tables: Set<string> };
  readonly #insertions: Insertion[] = [];
  readonly #report: string[] = [];

  constructor(
    file: EditedYaml,
    declared: ReadonlyMap<string, DeclaredTable>,
    { names, arrays, leftOut }: CompareOptions,
  ) {
    this.#file = file;
    this.#declared = declared;
    this.#leftOut = leftOut;
    const tables = new Set(declaredTables(declared.values()));
    this.#style = { names: names ?? usualStyle(declared.values()), arrays, tables };
  }

  compare(collections: readonly ComparedCollection[]): Comparison {
    for (const sampled of collections) {
      const table = this.#declared.get(sampled.name);
      if (table === undefined) continue;
      if (table.columns === null) this.#report.push(`${sampled.name}: ${DOCUMENT_MODE}`);
      else {
        this.#compareTable(table, sampled.summary);
        this.#compareMisfits(table, { ...sampled, documents: sampled.summary.documents });
      }
    }
    for (const [name, why] of this.#leftOut) {
      if (this.#declared.has(name)) this.#report.push(`${name}: cannot be replicated: ${why}`);
    }
    this.#addCollections(collections.filter(({ name }) => !this.#declared.has(name)));
    return { insertions: this.#insertions, report: this.#report };
  }

  /** Children come first: where their lines end, those of their parent end, too. */
  #compareTable(declared: DeclaredTable, summary: DocumentSummary): void {
    const { at, table, columns, children, paths } = declared;
    if (columns === null) return;
    for (const child of children) {
      const items = fieldAt(summary, child.path)?.items;
      if (items !== null && items !== undefined) this.#compareTable(child, items);
    }
    const existing = {
      table,
      columns: columns.map(({ name }) => name),
      children: children.map(({ name }) => name),
      declared: at.length === 2 ? [...paths, KEY_PATH] : paths,
    };
    this.#addToTable(at, proposeAdditions(summary, existing, this.#style), children.length > 0);
  }

  #addToTable(at: readonly string[], { columns, children }: ProposedTable, hasChildren: boolean): void {
    if (columns.length > 0) {
      const lines = columns.map((column) => columnLine(column));
      this.#add({ path: [...at, "columns"], lines }, `${placeText(at)}: new columns: ${namesText(columns)}`);
    }
    if (children.length === 0) return;
    const lines = children.flatMap((child) => childLines(child, hasChildren ? 0 : 1));
    const addition = hasChildren
      ? { path: [...at, "children"], lines }
      : { path: at, lines: [{ level: 0, text: "children:" }, ...lines] };
    this.#add(addition, `${placeText(at)}: new children: ${namesText(children)}`);
  }

  #addCollections(collections: readonly ComparedCollection[]): void {
    if (collections.length === 0 || hasAllOthers(this.#declared)) return;
    const filled = collections.filter(({ summary }) => summary.documents > 0);
    for (const { name } of collections) {
      if (!filled.some((each) => each.name === name)) this.#report.push(`${name}: a new collection without documents`);
    }
    for (const proposed of proposeCollections(filled, this.#style, this.#style.tables)) {
      this.#add({ path: ["collections"], lines: collectionLines(proposed) }, `new collection: ${proposed.name}`);
    }
  }

  #add(addition: Addition, what: string): void {
    const insertion = this.#file.add(addition);
    if (insertion !== null) this.#insertions.push(insertion);
    this.#report.push(insertion === null ? byHand(addition, what) : bounded(what));
  }

  /** @param prefix what stands before the names of the table's misfits: the children that lead to it */
  #compareMisfits(declared: DeclaredTable, { summary, ...sampled }: Misfitting, prefix = ""): void {
    const { at, columns, children } = declared;
    for (const { name, path } of columns ?? []) {
      this.#addMisfits([...at, "columns", name], [`${prefix}${name}`], { ...sampled, field: fieldAt(summary, path) });
    }
    for (const child of children) {
      const field = fieldAt(summary, child.path);
      const name = `${prefix}${child.name}`;
      // The array, its elements, and the elements of an array of scalars.
      const names = [name, `${name}.${EXTRA_COLUMN}`, ...(child.columns === null ? [`${name}.${VALUE_COLUMN}`] : [])];
      this.#addMisfits(child.at, names, { ...sampled, field });
      this.#compareMisfits(child, { ...sampled, summary: field?.items ?? EMPTY }, `${name}.`);
    }
  }

  /** @param names under which the misfits are counted; the first one names them in the report */
  #addMisfits(at: readonly string[], names: readonly string[], { documents, misfits, field }: Misfits): void {
    const number = names.reduce((total, name) => total + (misfits.get(name) ?? 0), 0);
    if (number === 0) return;
    const text = `${misfitsText(number, `of ${numberText(documents)} documents`)}${seenText(field)}`;
    this.#report.push(bounded(`${at[1]}.${names[0]}: ${text}`));
    const insertion = this.#file.comment(at, bounded(text), MISFIT_MARK);
    if (insertion !== null) this.#insertions.push(insertion);
  }
}

interface Misfits {
  /** How many documents were sampled. */
  readonly documents: number;
  readonly misfits: ReadonlyMap<string, number>;
  readonly field: FieldSummary | undefined;
}

interface Misfitting extends Omit<Misfits, "field"> {
  /** Of the documents, or of a child's items. */
  readonly summary: DocumentSummary;
}

const EMPTY = new DocumentSummary();

/** `: seen string, double; numeric holds all`. */
function seenText(field: FieldSummary | undefined): string {
  if (field === undefined) return "";
  const choice = chooseType(field);
  const better = choice.is === "column" && choice.misfits === 0 ? `; ${choice.type} holds all` : "";
  return `: ${kindsText(field.kinds, field.itemKinds)}${better}`;
}

function byHand({ path, lines }: Addition, what: string): string {
  const place = path.join(".");
  return `${bounded(what)}\n  cannot be inserted into ${bounded(place)}; add by hand:\n${linesText(lines, "    ").trimEnd()}`;
}

function placeText(at: readonly string[]): string {
  return at.filter((_key, index) => index % 2 === 1).join(".");
}

function namesText(entries: readonly { readonly name: string }[]): string {
  return entries.map(({ name }) => name).join(", ");
}

/** The summary of the values at a path; undefined if the sample has none. */
function fieldAt(summary: DocumentSummary, path: readonly string[]): FieldSummary | undefined {
  const [name = "", ...rest] = path;
  const field = summary.fields.get(name);
  if (rest.length === 0 || field === undefined) return field;
  return field.object === null ? undefined : fieldAt(field.object, rest);
}

/** `keep` if a column of the file has a name that snake case would not give. */
function usualStyle(declared: Iterable<DeclaredTable>): NameStyle {
  const tables = [...declared];
  const isSnake = tables.every(({ columns, children }) => {
    const names = [...(columns ?? []), ...children].map(({ name }) => name);
    return names.every((name) => snakeCase(name) === name) && usualStyle(children) === "snake";
  });
  return isSnake ? "snake" : "keep";
}
