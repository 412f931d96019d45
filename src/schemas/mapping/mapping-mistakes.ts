import { childSuffixes, DOC_COLUMN, EXTRA_COLUMN } from "./column-names.ts";
import type { ChildMapping, CollectionMapping, ColumnMapping } from "./mapping.ts";

const RESERVED_COLUMNS: ReadonlySet<string> = new Set(["_id", "_version", EXTRA_COLUMN, DOC_COLUMN]);
/** Of a child's table: `_parent`, `_position`, `_position_2` … */
const RESERVED_IN_CHILDREN = /^_parent$|^_position(?:_\d+)?$/;
/** PostgreSQL's system columns. No other column may have one of these names. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);
/**
 * A table of PostgreSQL can have 1,600 columns. This leaves room for `_id`, `_version`, `_extra` and a few of the
 * user's own.
 */
const COLUMN_LIMIT = 1590;
/** PostgreSQL truncates longer identifiers. */
const IDENTIFIER_BYTES = 63;
/** A primary key of PostgreSQL can have 32 columns: `_parent` and the positions. */
const MOST_LEVELS = 16;

const HASH_DIGITS = 64;

/** A mistake in a mapping, as a sentence without a full stop. */
export interface MappingMistake {
  /** The names of the children in which it is, from the outside; empty for the document's own columns. */
  readonly children: readonly string[];
  readonly message: string;
}

/** The document itself, or a child: what has columns and children. */
type Scope = Pick<ChildMapping, "columns" | "children">;

/** The mistakes in a mapping; empty if it is valid. */
export function mappingMistakes(mapping: CollectionMapping): readonly MappingMistake[] {
  const mistakes = scopeMistakes(mapping, []);
  if (mapping.mode === "document" && mapping.columns.length > 0)
    mistakes.push({ children: [], message: "document mode allows no columns" });
  if (mapping.mode === "document" && mapping.children.length > 0)
    mistakes.push({ children: [], message: "document mode allows no children; give the collection `columns`, too" });
  for (const suffix of new Set(repeated(childSuffixes(mapping))))
    mistakes.push({ children: [], message: `two children have the same table (…_${suffix}); give one another name` });
  return mistakes;
}

function repeated(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

/** What is wrong with the redactions of a mapping, each as a sentence without a full stop. */
export function redactionMistakes({ columns, children, redaction }: CollectionMapping): readonly string[] {
  const redactions = redaction?.redactions ?? [];
  const mistakes: string[] = [];
  const seen: (readonly string[])[] = [];
  for (const { path, action } of redactions) {
    const name = path.join(".");
    if (path[0] === "_id") mistakes.push(`${name}: the _id is the row's key, and cannot be redacted`);
    const around = seen.find((other) => leadsTo(other, path) || leadsTo(path, other));
    if (around !== undefined) mistakes.push(`${around.join(".")} and ${name} overlap; keep one of them`);
    seen.push(path);
    for (const { title, reads, isText } of readers({ columns, children }, [])) {
      const isWhole = leadsTo(path, reads);
      if (isWhole && action !== "hash") mistakes.push(`${title} reads ${name}, which never arrives (${action})`);
      else if (isWhole && !isText) mistakes.push(`${title} reads ${name}, whose hash is a text; make it text`);
    }
  }
  return mistakes;
}

function leadsTo(path: readonly string[], to: readonly string[]): boolean {
  return path.length <= to.length && path.every((name, index) => name === to[index]);
}

interface Reader {
  readonly title: string;
  /** The path from the document, through arrays. */
  readonly reads: readonly string[];
  readonly isText: boolean;
}

function readers({ columns, children }: Scope, around: readonly string[]): readonly Reader[] {
  const own = columns.map((column) => ({
    title: `column ${JSON.stringify(column.name)}`,
    reads: [...around, ...column.path],
    isText: column.type.base === "text" || column.type.base === "jsonb" || (column.type.length ?? 0) >= HASH_DIGITS,
  }));
  return [...own, ...children.flatMap((child) => readers(child, [...around, ...child.path]))];
}

/** The mistakes as one text. */
export function mistakesText(mistakes: readonly MappingMistake[]): string {
  return mistakes
    .map(({ children, message }) => (children.length === 0 ? message : `in child ${children.join(".")}: ${message}`))
    .join("; ");
}

function scopeMistakes(scope: Scope, within: readonly string[]): MappingMistake[] {
  const { columns, children } = scope;
  const own = [...nameMistakes(scope, within.length > 0), ...pathMistakes(scope, within.length === 0)];
  if (columns.length > COLUMN_LIMIT)
    own.push(`there are ${columns.length} columns, but at most ${COLUMN_LIMIT} are possible`);
  if (within.length > MOST_LEVELS) return [at(within, `there are more than ${MOST_LEVELS} levels of children`)];
  return [
    ...own.map((message) => at(within, message)),
    ...children.flatMap((child) => [
      ...emptyMistakes(child, [...within, child.name]),
      ...scopeMistakes(child, [...within, child.name]),
    ]),
  ];
}

function at(children: readonly string[], message: string): MappingMistake {
  return { children, message };
}

function emptyMistakes({ columns, children }: ChildMapping, within: readonly string[]): MappingMistake[] {
  if (columns.length > 0 || children.length > 0) return [];
  return [at(within, "it has neither `columns` nor `value`: declare what its table holds")];
}

function nameMistakes({ columns, children }: Scope, isChild: boolean): string[] {
  const seen = new Set<string>();
  const named = [
    ...columns.map(({ name }) => ({ kind: "column", name })),
    ...children.map(({ name }) => ({ kind: "child", name })),
  ];
  return named.flatMap(({ kind, name }) => {
    const reserved = isChild && kind === "column" && RESERVED_IN_CHILDREN.test(name) ? USED_ITSELF : undefined;
    const problem = reserved ?? nameProblem(name) ?? (seen.has(name) ? "is declared twice" : undefined);
    seen.add(name);
    return problem === undefined ? [] : [`${kind} ${JSON.stringify(name)} ${problem}`];
  });
}

const USED_ITSELF = "has a name that Headrace uses itself; choose another name";

function nameProblem(name: string): string | undefined {
  if (RESERVED_COLUMNS.has(name)) return USED_ITSELF;
  if (SYSTEM_COLUMNS.has(name)) return "has the name of a system column of PostgreSQL; choose another name";
  // In JavaScript, setting it changes the object's prototype, so that Avro readers in JavaScript would lose the value.
  if (name === "__proto__") return "has a name that some Avro readers cannot handle; choose another name";
  if (name === "") return "has an empty name";
  if (name.includes("\0") || !name.isWellFormed()) return "has a name that PostgreSQL cannot store";
  if (Buffer.byteLength(name) > IDENTIFIER_BYTES) return `has a name of more than ${IDENTIFIER_BYTES} bytes`;
  return undefined;
}

/** What holds a value: a column, or a child. */
interface Holder {
  /** As messages name it. */
  readonly title: string;
  readonly path: readonly string[];
}

/** Two of them must not hold the same value: it would not be defined what remains for `_extra`. */
function pathMistakes({ columns, children }: Scope, isDocument: boolean): string[] {
  const mistakes: string[] = [];
  const holders = new Map<string, string>();
  const inner = new Map<string, string>();
  for (const { title, path } of [...columns.map(columnHolder), ...children.map(childHolder)]) {
    if (path.length === 0) {
      // The column `value` of a child is the element itself.
      if (isDocument || columns.length > 1 || children.length > 0) mistakes.push(`${title} has an empty path`);
      continue;
    }
    if (isDocument && path[0] === "_id") mistakes.push(`${title} reads _id, which has its own column`);
    if (path.some((part) => part.includes("\0"))) mistakes.push(`${title} has a path that contains a NUL character`);
    const prefixes = path.map((_part, index) => JSON.stringify(path.slice(0, index + 1)));
    const whole = prefixes.at(-1) as string;
    const other =
      prefixes.map((prefix) => holders.get(prefix)).find((holder) => holder !== undefined) ?? inner.get(whole);
    if (other !== undefined) mistakes.push(`${other} and ${title} have overlapping paths`);
    holders.set(whole, title);
    for (const prefix of prefixes.slice(0, -1)) inner.set(prefix, title);
  }
  return mistakes;
}

function columnHolder({ name, path }: ColumnMapping): Holder {
  return { title: `column ${JSON.stringify(name)}`, path };
}

function childHolder({ name, path }: ChildMapping): Holder {
  return { title: `child ${JSON.stringify(name)}`, path };
}
