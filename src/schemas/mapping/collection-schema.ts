import { HeadraceError } from "../../errors/error.ts";
import { escapeAvroName } from "./avro-name.ts";
import { DOC_COLUMN, EXTRA_COLUMN } from "./column-names.ts";
import { avroTypeOf, type ColumnBase, type ColumnType, parseColumnType } from "./column-type.ts";
import { type AvroRecord, envelopeDefinition, keyDefinition, truncateKeyDefinition } from "./envelope.ts";
import { mappingMistakes, mistakesText } from "./mapping-mistakes.ts";
import type { ChildMapping, CollectionMapping, ColumnMapping, IdType, ValueChild, ValueField } from "./mapping.ts";
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
  /** The fields of `Value` after those. */
  readonly children: readonly ValueChild[];
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
      message: `The mapping of collection ${JSON.stringify(mapping.collection)} is not valid: ${mistakesText(mistakes)}.`,
    });
  }
  const registeredLongs = longColumns(registered.value);
  const fields = fieldsOf(mapping, registeredLongs);
  const children = childrenOf(mapping.children);
  const namespace = namespaceOf(origin.topic);
  const keySchema = keyDefinition(namespace, idType, registered.key);
  return {
    mapping,
    origin,
    idType,
    fields,
    children,
    registeredLongs,
    keySubject: `${origin.topic}-key`,
    keySchema,
    truncateKeySchema: truncateKeyDefinition(keySchema),
    valueSubject: `${origin.topic}-value`,
    valueSchema: envelopeDefinition(namespace, idType, { fields, children }),
  };
}

function fieldsOf({ mode, columns }: CollectionMapping, longs: ReadonlySet<string>): readonly ValueField[] {
  if (mode === "document") return [jsonField(DOC_COLUMN, "The whole document as JSON.")];
  return [...declaredFields(columns, longs), jsonField(EXTRA_COLUMN, EXTRA_DOC)];
}

function jsonField(column: string, doc: string): ValueField {
  return { column, type: JSONB, avroType: avroTypeOf(JSONB), doc };
}

function declaredFields(columns: readonly ColumnMapping[], longs: ReadonlySet<string>): readonly ValueField[] {
  return columns.map(({ name, path, type }): ValueField => {
    const isLong = longs.has(name);
    return { column: name, type, avroType: avroTypeOf(type, isLong), doc: columnDoc(path, type, isLong) };
  });
}

function childrenOf(children: readonly ChildMapping[]): readonly ValueChild[] {
  return children.map(({ name, path, elements, columns, children: inner, hasForeignKey }) => ({
    name,
    elements,
    hasForeignKey,
    fields: [...declaredFields(columns, NO_LONGS), jsonField(EXTRA_COLUMN, ELEMENT_EXTRA_DOC)],
    children: childrenOf(inner),
    doc: `The elements of the array ${path.join(".")}, in order.`,
  }));
}

/** Only version 0.1.0 registered some, and it had no children. */
const NO_LONGS: ReadonlySet<string> = new Set();

const EXTRA_DOC =
  "Everything that no column holds, as canonical Extended JSON: other fields, and values that did not fit their column.";

const ELEMENT_EXTRA_DOC =
  "What no column holds of the element, as canonical Extended JSON: its other fields, or the element itself where it does not fit.";

function columnDoc(path: readonly string[], { sql, base }: ColumnType, isLong: boolean): string {
  const form = base === "date" && isLong ? "Midnight of the day in UTC." : FORM_DOCS[base];
  const what = path.length === 0 ? "The element itself" : `The document's field ${path.join(".")}`;
  return `${what}, for a column of type ${sql}.${form === undefined ? "" : ` ${form}`}`;
}

/** The forms of values that their Avro type does not tell. */
const FORM_DOCS: Partial<Record<ColumnBase, string>> = {
  numeric: "The number's digits as text, so that none is lost; also NaN, Infinity and -Infinity.",
  "timestamp without time zone": "A time in UTC.",
  jsonb: "JSON.",
};

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
