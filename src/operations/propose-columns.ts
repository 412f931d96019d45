import { Binary, Decimal128, Double, Int32, Long, ObjectId, type Document } from "mongodb";
import { parseColumnType } from "../schemas/mapping/column-type.ts";
import { mappingMistakes } from "../schemas/mapping/mapping-mistakes.ts";

/** A column that the sampled documents suggest. */
export interface ProposedColumn {
  readonly name: string;
  readonly path: readonly string[];
  readonly type: string;
}

export interface Proposal {
  readonly columns: readonly ProposedColumn[];
  /** Paths without a column, which stay in `_extra`, each with the reason. */
  readonly leftOut: readonly string[];
}

/** A path gets a column only if at least this share of the documents has a value there. */
const LEAST_PRESENCE = 0.01;
/** A path gets a column only if at least this share of its values has one type; the others go to `_extra`. */
const LEAST_SHARE = 0.95;
/** A sub-document with more names than this counts as a map and gets one jsonb column. */
const MOST_NAMES = 40;
const MOST_COLUMNS = 200;
const DEEPEST = 3;

/**
 * Proposes typed columns for documents.
 * @param documents deserialized with `promoteValues: false`
 * @returns columns named by their joined path, also for fields of sub-documents. Paths with mixed types, rare paths and
 * paths that no config can name get no column; `_extra` keeps their values.
 */
export function proposeColumns(documents: readonly Document[]): Proposal {
  const root = new Node();
  for (const document of documents) root.addFields(document, 1);
  const found: Found[] = [];
  root.collect([], documents.length, found);
  const columns: ProposedColumn[] = [];
  const leftOut: string[] = [];
  const names = new Set<string>();
  for (const { path, type, why } of found) {
    const column = type === null ? null : { name: path.join("_"), path, type };
    const problem = column === null ? why : nameProblem(column, names) || countProblem(columns.length);
    if (column === null || problem !== "") leftOut.push(`${path.join(".")} (${problem})`);
    else {
      columns.push(column);
      names.add(column.name);
    }
  }
  return { columns, leftOut };
}

interface Found {
  readonly path: readonly string[];
  /** Null if the path gets no column. */
  readonly type: string | null;
  readonly why: string;
}

function nameProblem(column: ProposedColumn, taken: ReadonlySet<string>): string {
  const { name, path, type } = column;
  if (path.some((part) => part === "" || part.includes("."))) return "a name in it is empty or has a dot";
  if (taken.has(name)) return "another field's column has this name";
  const mapping = { ...column, type: parseColumnType(type) };
  const [mistake] = mappingMistakes({
    collection: name,
    mode: "columns",
    columns: [mapping],
    children: [],
    idType: undefined,
  });
  return mistake?.message ?? "";
}

function countProblem(columns: number): string {
  return columns >= MOST_COLUMNS ? `more than ${MOST_COLUMNS} columns` : "";
}

/** The types and fields that were found at one path. */
class Node {
  readonly #types = new Map<string, number>();
  readonly #fields = new Map<string, Node>();
  /** Arrays without an item, or with nulls only: they fit every type of array. */
  #emptyArrays = 0;
  #values = 0;

  add(value: unknown, depth: number): void {
    if (value === null || value === undefined) return;
    this.#values++;
    if (isEmptyArray(value)) {
      this.#emptyArrays++;
      return;
    }
    const type = typeOf(value);
    this.#types.set(type, (this.#types.get(type) ?? 0) + 1);
    if (type === "object") this.addFields(value, depth + 1);
  }

  addFields(document: Document, depth: number): void {
    if (depth > DEEPEST) return;
    for (const [name, value] of Object.entries(document)) {
      if (depth === 1 && name === "_id") continue;
      const field = this.#fields.get(name) ?? new Node();
      this.#fields.set(name, field);
      field.add(value, depth);
    }
  }

  /** Appends this path's column, or the columns below it, in the order in which they were first found. */
  collect(path: readonly string[], documents: number, found: Found[]): void {
    if (path.length === 0 || this.#isStructure(path.length)) {
      for (const [name, field] of this.#fields) field.collect([...path, name], documents, found);
    } else if (this.#values < documents * LEAST_PRESENCE) {
      found.push({ path, type: null, why: this.#values === 0 ? "always null" : "rare" });
    } else {
      const type = this.#columnType();
      found.push({ path, type, why: type === null ? `mixed: ${this.#foundTypes().join(", ")}` : "" });
    }
  }

  #isStructure(depth: number): boolean {
    const isObject = this.#share("object") >= LEAST_SHARE;
    return isObject && this.#fields.size > 0 && this.#fields.size <= MOST_NAMES && depth < DEEPEST;
  }

  #columnType(): string | null {
    if (this.#share("object") >= LEAST_SHARE) return "jsonb";
    const numeric = this.#numericType();
    if (numeric !== null) return numeric;
    const type = [...this.#types.keys()].find((name) => this.#share(name) >= LEAST_SHARE);
    if (type === undefined && this.#emptyArrays / this.#values >= LEAST_SHARE) return "jsonb";
    return type === undefined || type === "object" || type === "other" ? null : type;
  }

  #foundTypes(): readonly string[] {
    return [...this.#types.keys(), ...(this.#emptyArrays > 0 ? ["empty array"] : [])];
  }

  /** One type that holds all kinds of numbers at this path. */
  #numericType(): string | null {
    const share = this.#share("bigint") + this.#share("double precision") + this.#share("numeric");
    if (share < LEAST_SHARE) return null;
    if (this.#types.has("numeric")) return "numeric";
    return this.#types.has("double precision") ? "double precision" : "bigint";
  }

  #share(type: string): number {
    const found = this.#types.get(type) ?? 0;
    const isArray = found > 0 && /^jsonb$|\[\]$/.test(type);
    return this.#values === 0 ? 0 : (found + (isArray ? this.#emptyArrays : 0)) / this.#values;
  }
}

/** The PostgreSQL type for a value; `object` for a sub-document, `other` for a value that only `_extra` holds. */
function typeOf(value: unknown): string {
  if (typeof value === "string" || value instanceof ObjectId) return "text";
  if (typeof value === "boolean") return "boolean";
  if (value instanceof Date) return "timestamptz";
  if (value instanceof Int32 || isLong(value)) return "bigint";
  if (value instanceof Double) return "double precision";
  if (value instanceof Decimal128) return "numeric";
  if (value instanceof Binary) return binaryType(value);
  if (Array.isArray(value)) return arrayType(value);
  return value !== null && typeof value === "object" && !("_bsontype" in value) ? "object" : "other";
}

/** BSON's Timestamp is also an instance of Long. */
function isLong(value: unknown): boolean {
  return value instanceof Long && value._bsontype === "Long";
}

function binaryType({ sub_type: subtype }: Binary): string {
  if (subtype === Binary.SUBTYPE_UUID) return "uuid";
  return subtype === Binary.SUBTYPE_UUID_OLD ? "other" : "bytea";
}

function isEmptyArray(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => item === null);
}

/** jsonb holds every array. */
function arrayType(values: readonly unknown[]): string {
  const types = new Set(values.filter((value) => value !== null).map(typeOf));
  const [type] = types;
  const isSimple = types.size === 1 && type !== undefined && !/^(object|other|jsonb)$|\[\]$/.test(type);
  return isSimple ? `${type}[]` : "jsonb";
}
