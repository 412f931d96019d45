import type { ProposedChild, ProposedCollection, ProposedColumn, ProposedTable } from "./propose-tables.ts";

/** A line of YAML, without the indentation that its place gives it. */
export interface Line {
  /** How many levels deep below the first line. */
  readonly level: number;
  readonly text: string;
}

/** Texts that YAML takes for nothing but themselves, also between braces. */
const PLAIN = /^[A-Za-z_][\w-]*(?:[ .][\w-]+)*$/;
const OTHER_MEANING = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

/** A text as a YAML scalar in one line. */
export function scalarText(text: string): string {
  return PLAIN.test(text) && !OTHER_MEANING.test(text) ? text : JSON.stringify(text);
}

/** A text as a scalar that is a value. In values, but not in keys, `${` begins a variable of the environment. */
export function valueText(text: string): string {
  return scalarText(text.replaceAll("${", () => "$${"));
}

/** The value of `path`: names with dots between them, or a list. */
function pathText(path: readonly string[]): string {
  const isPlain = path.every((name) => name !== "" && !name.includes("."));
  return isPlain ? valueText(path.join(".")) : `[${path.map(valueText).join(", ")}]`;
}

/** Whether the path is the one that the config takes for a name without one. */
function isDefaultPath(path: readonly string[], name: string): boolean {
  return JSON.stringify(name.split(".")) === JSON.stringify(path);
}

/** `text`, or `{ path: customer.name, type: text }`. */
function columnText({ name, path, type }: Omit<ProposedColumn, "comment">): string {
  if (isDefaultPath(path, name)) return type;
  // Between braces, brackets are a list.
  return `{ path: ${pathText(path)}, type: ${type.endsWith("[]") ? JSON.stringify(type) : type} }`;
}

/** `name: text # 98 %: string`. */
export function columnLine(column: ProposedColumn, level = 0): Line {
  return { level, text: `${scalarText(column.name)}: ${columnText(column)} # ${column.comment}` };
}

/** A collection as it stands below `collections`. */
export function collectionLines(collection: ProposedCollection): Line[] {
  const { name, table, sampled } = collection;
  const key = scalarText(name);
  const tableLine = table === name ? [] : [{ level: 1, text: `table: ${valueText(table)}` }];
  const isEmpty = collection.columns.length === 0 && collection.children.length === 0;
  if (isEmpty && table === name) return [{ level: 0, text: `${key}: {} # ${sampled}` }];
  const body = isEmpty ? [] : tableLines(collection, 1);
  return [
    { level: 0, text: `${key}: # ${sampled}` },
    ...notesLines(isEmpty ? [] : collection.notes, 1),
    ...tableLine,
    ...body,
  ];
}

/** A child table as it stands below `children`. */
export function childLines(child: ProposedChild, level = 0): Line[] {
  const { name, path, comment, notes } = child;
  return [
    { level, text: `${scalarText(name)}: # ${comment}` },
    ...notesLines(notes, level + 1),
    { level: level + 1, text: `path: ${pathText(path)}` },
    ...tableLines(child, level + 1),
  ];
}

function tableLines({ columns, children }: ProposedTable, level: number): Line[] {
  return [
    ...(columns.length === 0 ? [] : [{ level, text: "columns:" }]),
    ...columns.map((column) => columnLine(column, level + 1)),
    ...(children.length === 0 ? [] : [{ level, text: "children:" }]),
    ...children.flatMap((child) => childLines(child, level + 1)),
  ];
}

function notesLines(notes: readonly string[], level: number): Line[] {
  return notes.map((note) => ({ level, text: `# ${note}` }));
}

/** The lines as text. @param indent the indentation of the first line */
export function linesText(lines: readonly Line[], indent: string): string {
  return lines.map(({ level, text }) => `${indent}${"  ".repeat(level)}${text}\n`).join("");
}
