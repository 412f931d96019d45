import { HeadraceError } from "../../errors/error.ts";
import { escapeAvroName } from "./avro-name.ts";
import { avroTypeOf, type ColumnBase, type ColumnType, parseColumnType } from "./column-type.ts";
import { type AvroRecord, envelopeDefinition, keyDefinition, truncateKeyDefinition } from "./envelope.ts";
import type { CollectionMapping, ColumnMapping, IdType, ValueField } from "./mapping.ts";
import { longColumns } from "./registered-columns.ts";

/** Where a collection's events come from and go to. */
export interface CollectionOrigin {
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  readonly topic: string;
}

/** Everything that the records of one collection are made with. */
export interface CollectionSchema {
  readonly mapping: CollectionMapping;
  readonly origin: CollectionOrigin;
  readonly idType: IdType;
  /** The fields of `Value` after `_id`, in order: the declared columns, then `_extra`; or `doc` alone. */
  readonly fields: readonly ValueField[];
  /** The columns that are registered with longs already: their dates stay in ms. */
  readonly registeredLongs: ReadonlySet<string>;
  readonly keySubject: string;
  readonly keySchema: AvroRecord;
  /** Under the same subject. */
  readonly truncateKeySchema: AvroRecord;
  readonly valueSubject: string;
  readonly valueSchema: AvroRecord;
}

/** The newest registered schemas of a topic, as JSON; undefined if nothing is registered. */
export interface RegisteredDefinitions {
  readonly key?: unknown;
  readonly value?: unknown;
}

/** In document mode, the column with the whole document. */
export const DOC_COLUMN = "doc";
/** In columns mode, the column with everything that the declared columns do not hold. */
export const EXTRA_COLUMN = "_extra";

const RESERVED_COLUMNS: ReadonlySet<string> = new Set(["_id", "_version", EXTRA_COLUMN, DOC_COLUMN]);
/** PostgreSQL's system columns. No other column may have one of these names. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);
/**
 * A table of PostgreSQL can have 1,600 columns. This leaves room for `_id`, `_version`, `_extra` and a few of the
 * user's own.
 */
const COLUMN_LIMIT = 1590;
/** PostgreSQL truncates longer identifiers. */
const IDENTIFIER_BYTES = 63;

const JSONB = parseColumnType("jsonb");

/**
 * @param registered what new schemas must be compatible with
 * @throws HeadraceError MAPPING_INVALID with every mistake that `mappingMistakes` finds
 */
export function collectionSchema(
  mapping: CollectionMapping,
  idType: IdType,
  origin: CollectionOrigin,
  registered: RegisteredDefinitions = {},
): CollectionSchema {
  const mistakes = mappingMistakes(mapping);
  if (mistakes.length > 0) {
    throw new HeadraceError("MAPPING_INVALID", {
      message: `The mapping of collection ${JSON.stringify(mapping.collection)} is not valid: ${mistakes.join("; ")}.`,
    });
  }
  const registeredLongs = longColumns(registered.value);
  const fields = fieldsOf(mapping, registeredLongs);
  const namespace = namespaceOf(origin.topic);
  const keySchema = keyDefinition(namespace, idType, registered.key);
  return {
    mapping,
    origin,
    idType,
    fields,
    registeredLongs,
    keySubject: `${origin.topic}-key`,
    keySchema,
    truncateKeySchema: truncateKeyDefinition(keySchema),
    valueSubject: `${origin.topic}-value`,
    valueSchema: envelopeDefinition(namespace, idType, fields),
  };
}

/** The names of a table's columns, besides `_id` and `_version`. */
export function columnNames({ mode, columns }: CollectionMapping): readonly string[] {
  return mode === "document" ? [DOC_COLUMN] : [...columns.map(({ name }) => name), EXTRA_COLUMN];
}

function fieldsOf({ mode, columns }: CollectionMapping, longs: ReadonlySet<string>): readonly ValueField[] {
  const jsonb = { type: JSONB, avroType: avroTypeOf(JSONB) };
  if (mode === "document") return [{ column: DOC_COLUMN, ...jsonb, doc: "The whole document as JSON." }];
  const declared = columns.map(({ name, path, type }): ValueField => {
    const isLong = longs.has(name);
    return { column: name, type, avroType: avroTypeOf(type, isLong), doc: columnDoc(path, type, isLong) };
  });
  return [...declared, { column: EXTRA_COLUMN, ...jsonb, doc: EXTRA_DOC }];
}

const EXTRA_DOC =
  "Everything that no column holds, as canonical Extended JSON: other fields, and values that did not fit their column.";

function columnDoc(path: readonly string[], { sql, base }: ColumnType, isLong: boolean): string {
  const form = base === "date" && isLong ? "Midnight of the day in UTC." : FORM_DOCS[base];
  return `The document's field ${path.join(".")}, for a column of type ${sql}.${form === undefined ? "" : ` ${form}`}`;
}

/** The forms of values that their Avro type does not tell. */
const FORM_DOCS: Partial<Record<ColumnBase, string>> = {
  numeric: "The number's digits as text, so that none is lost; also NaN, Infinity and -Infinity.",
  "timestamp without time zone": "A time in UTC.",
  jsonb: "JSON.",
};

/** The mistakes in a mapping, each as a sentence without a full stop; empty if the mapping is valid. */
export function mappingMistakes(mapping: CollectionMapping): readonly string[] {
  const mistakes = [...columnNameMistakes(mapping.columns), ...pathMistakes(mapping.columns)];
  if (mapping.mode === "document" && mapping.columns.length > 0) mistakes.push("document mode allows no columns");
  if (mapping.columns.length > COLUMN_LIMIT) {
    mistakes.push(`there are ${mapping.columns.length} columns, but at most ${COLUMN_LIMIT} are possible`);
  }
  return mistakes;
}

function columnNameMistakes(columns: readonly ColumnMapping[]): string[] {
  const seen = new Set<string>();
  return columns.flatMap(({ name }) => {
    const problem = columnNameProblem(name) ?? (seen.has(name) ? "is declared twice" : undefined);
    seen.add(name);
    return problem === undefined ? [] : [`column ${JSON.stringify(name)} ${problem}`];
  });
}

function columnNameProblem(name: string): string | undefined {
  if (RESERVED_COLUMNS.has(name)) return "has a name that Headrace uses itself; choose another column name";
  if (SYSTEM_COLUMNS.has(name)) return "has the name of a system column of PostgreSQL; choose another column name";
  // In JavaScript, setting it changes the object's prototype, so that Avro readers in JavaScript would lose the value.
  if (name === "__proto__") return "has a name that some Avro readers cannot handle; choose another column name";
  if (name === "") return "has an empty name";
  if (name.includes("\0") || !name.isWellFormed()) return "has a name that PostgreSQL cannot store";
  if (Buffer.byteLength(name) > IDENTIFIER_BYTES) return `has a name of more than ${IDENTIFIER_BYTES} bytes`;
  return undefined;
}

/** Two columns must not hold the same value: it would not be defined what remains for `_extra`. */
function pathMistakes(columns: readonly ColumnMapping[]): string[] {
  const mistakes: string[] = [];
  const holders = new Map<string, string>();
  const inner = new Map<string, string>();
  for (const { name, path } of columns) {
    if (path.length === 0) mistakes.push(`column ${JSON.stringify(name)} has an empty path`);
    if (path[0] === "_id") mistakes.push(`column ${JSON.stringify(name)} reads _id, which has its own column`);
    if (path.some((part) => part.includes("\0")))
      mistakes.push(`column ${JSON.stringify(name)} has a path that contains a NUL character`);
    const prefixes = path.map((_part, index) => JSON.stringify(path.slice(0, index + 1)));
    const whole = prefixes.at(-1);
    if (whole === undefined) continue;
    const other =
      prefixes.map((prefix) => holders.get(prefix)).find((holder) => holder !== undefined) ?? inner.get(whole);
    if (other !== undefined) {
      mistakes.push(`columns ${JSON.stringify(other)} and ${JSON.stringify(name)} have overlapping paths`);
    }
    holders.set(whole, name);
    for (const prefix of prefixes.slice(0, -1)) inner.set(prefix, name);
  }
  return mistakes;
}

/**
 * A topic as an Avro namespace. Parts of a topic may be empty ("a..b" is a possible collection name), Avro names may
 * not.
 */
function namespaceOf(topic: string): string {
  return topic
    .split(".")
    .map((part) => (part === "" ? "_" : escapeAvroName(part)))
    .join(".");
}
