import { chooseType } from "./column-type.ts";
import type { Choice } from "./column-type.ts";
import { bounded, kindsText, misfitsText, numberText, pathsText, percentText } from "./comments.ts";
import type { DocumentSummary, FieldSummary } from "./field-summary.ts";

/** How arrays of documents are proposed: as child tables, or each as one jsonb column. */
export type ArrayStyle = "children" | "jsonb";

export const ARRAY_STYLES: readonly ArrayStyle[] = ["children", "jsonb"];

/** A column for a path. It has no name yet. */
export interface FoundColumn {
  readonly path: readonly string[];
  readonly type: string;
  /** What was seen there: how many documents have a value, of which types. */
  readonly comment: string;
}

/** A child table for an array of documents. */
export interface FoundChild extends FoundTable {
  readonly path: readonly string[];
  readonly comment: string;
}

export interface FoundTable {
  readonly columns: readonly FoundColumn[];
  readonly children: readonly FoundChild[];
  /** What stays in `_extra`, and why: a line each. */
  readonly notes: readonly string[];
}

export interface FindOptions {
  readonly arrays: ArrayStyle;
  /** Paths that have a column already. Nothing is proposed at them, below them or around them. */
  readonly declared?: readonly (readonly string[])[];
}

/** A path gets a column only if at least this share of the documents has a value there. */
const LEAST_PRESENCE = 0.01;
const MOST_COLUMNS = 200;

/** Finds the columns and child tables that hold the documents. */
export function findTable(summary: DocumentSummary, options: FindOptions): FoundTable {
  return new Finder(summary, options).find();
}

class Finder {
  readonly #columns: FoundColumn[] = [];
  readonly #children: FoundChild[] = [];
  readonly #notes: string[] = [];
  /** The paths without a column, by the reason. */
  readonly #leftOut = new Map<string, (readonly string[])[]>();
  readonly #summary: DocumentSummary;
  readonly #options: FindOptions;

  constructor(summary: DocumentSummary, options: FindOptions) {
    this.#summary = summary;
    this.#options = options;
  }

  find(): FoundTable {
    this.#addFields(this.#summary, []);
    const leftOut = [...this.#leftOut].map(([why, paths]) => `in _extra: ${pathsText(paths)} (${why})`);
    const cut = this.#summary.isCut ? ["in _extra: more fields than init looks at"] : [];
    return { columns: this.#columns, children: this.#children, notes: [...leftOut, ...this.#notes, ...cut] };
  }

  /** In the order in which the fields were first found. */
  #addFields(of: DocumentSummary, above: readonly string[]): void {
    for (const [name, field] of of.fields) this.#add(field, [...above, name]);
  }

  #add(field: FieldSummary, path: readonly string[]): void {
    const { declared = [] } = this.#options;
    if (declared.some((each) => isBeginning(each, path))) return;
    const isOpen = declared.some((each) => isBeginning(path, each));
    const present = presentIn(field);
    if (isOpen) {
      if (field.object !== null && !field.object.isMap) this.#addFields(field.object, path);
    } else if (path.some((name) => name.includes("\uFFFD"))) {
      this.#leaveOut(path, "its name is not UTF-8");
    } else if (present < this.#summary.documents * LEAST_PRESENCE) {
      this.#leaveOut(path, present === 0 ? "always null" : "in less than 1 %");
    } else {
      this.#addChoice(field, path, chooseType(field));
    }
  }

  #addChoice(field: FieldSummary, path: readonly string[], choice: Choice): void {
    switch (choice.is) {
      case "unknown":
        return this.#leaveOut(path, choice.why);
      case "structure":
        this.#noteMisfits(path, choice.misfits, presentIn(field));
        return field.object === null ? undefined : this.#addFields(field.object, path);
      case "child":
        return this.#addArray(field, path, choice.misfits);
      case "column":
        return this.#addColumn(field, path, choice);
    }
  }

  #addColumn(field: FieldSummary, path: readonly string[], { type, misfits }: { type: string; misfits: number }): void {
    if (this.#columns.length >= MOST_COLUMNS) return this.#leaveOut(path, `beyond ${MOST_COLUMNS} columns`);
    this.#columns.push({ path, type, comment: bounded([this.#seen(field, misfits), ...isoNotes(field)].join("; ")) });
  }

  #addArray(field: FieldSummary, path: readonly string[], misfits: number): void {
    const { arrays } = this.#options;
    const table = field.items === null ? null : findTable(field.items, { arrays });
    if (arrays === "jsonb" || table === null || (table.columns.length === 0 && table.children.length === 0)) {
      return this.#addColumn(field, path, { type: "jsonb", misfits: 0 });
    }
    const others = presentIn(field) - (field.kinds.get("array") ?? 0);
    this.#children.push({ ...table, path, comment: bounded(this.#seen(field, misfits + others)) });
  }

  /** `98 %: date, string; 12 do not fit`. */
  #seen(field: FieldSummary, misfits: number): string {
    const presence = percentText(presentIn(field), this.#summary.documents);
    const seen = `${presence}: ${kindsText(field.kinds, field.itemKinds)}`;
    return misfits === 0 ? seen : `${seen}; ${misfitsText(misfits, "")}`;
  }

  #noteMisfits(path: readonly string[], misfits: number, values: number): void {
    if (misfits === 0) return;
    const share = `${numberText(misfits)} of ${numberText(values)} values`;
    this.#notes.push(`in _extra: ${share} of ${pathsText([path])}, which are no documents`);
  }

  #leaveOut(path: readonly string[], why: string): void {
    this.#leftOut.set(why, [...(this.#leftOut.get(why) ?? []), path]);
  }
}

/** How many values are there that are not null. */
function presentIn({ kinds }: Pick<FieldSummary, "kinds">): number {
  return [...kinds].reduce((total, [kind, values]) => total + (kind === "null" ? 0 : values), 0);
}

function isBeginning(beginning: readonly string[], path: readonly string[]): boolean {
  return beginning.length <= path.length && beginning.every((name, index) => name === path[index]);
}

/** The most general first. */
const ISO_TYPES = ["timestamptz", "timestamp", "date"] as const;

/** Proposes a coercion where all values are texts of dates. */
function isoNotes({ kinds, isoTexts }: FieldSummary): readonly string[] {
  const texts = kinds.get("string") ?? 0;
  const dates = [...isoTexts.values()].reduce((total, values) => total + values, 0);
  const type = ISO_TYPES.find((each) => isoTexts.has(each));
  if (type === undefined || dates < texts || presentIn({ kinds }) > texts) return [];
  return [`all ${numberText(texts)} values are ISO 8601 dates: coerce in SQL, with ::${type}`];
}
