import { escapeAvroName } from "./avro-name.ts";
import type { AvroType } from "./column-type.ts";
import { ID_TYPES, type IdType, type ValueChild, type ValueField } from "./mapping.ts";

const ID_TYPE_PROPERTY = "headrace.idType";

interface AvroField {
  readonly name: string;
  /** For people who read the topics. Undefined only if the registered schema has none. */
  readonly doc: string | undefined;
  readonly type: AvroType | AvroRecord | readonly (AvroType | AvroRecord | AvroArray)[];
  readonly default?: null;
  readonly [property: `headrace.${string}`]: string;
}

interface AvroArray {
  readonly type: "array";
  readonly items: AvroRecord;
}

/** The Avro definition of a record, as JSON. */
export interface AvroRecord {
  readonly type: "record";
  readonly name: string;
  readonly namespace?: string;
  readonly doc: string | undefined;
  readonly fields: readonly AvroField[];
  readonly [property: `headrace.${string}`]: string;
}

/**
 * `Key {_id}`.
 * @param registered the newest registered schema of the topic's keys, if there is one. Its `doc`s are kept, because it is the
 *   one of truncates: after that the registry accepts no new schema of the documents' keys
 */
export function keyDefinition(namespace: string, idType: IdType, registered?: unknown): AvroRecord {
  const type = idAvroType(idType);
  const fields = [{ name: "_id", doc: `${ID_DOCS[idType]} Null for a truncate.`, type }];
  const doc = "The key of the records of one document, or of a truncate.";
  const key: AvroRecord = { type: "record", name: "Key", namespace, doc, [ID_TYPE_PROPERTY]: idType, fields };
  if (typeof registered !== "object" || registered === null) return key;
  const known: Partial<AvroRecord> = registered;
  return { ...key, doc: known.doc, fields: fields.map((id) => ({ ...id, doc: known.fields?.[0]?.doc })) };
}

/**
 * The key of a truncate: `Key {_id}` whose `_id` is null. It is a newer version of the key schema, compatible with the
 * documents' keys, because Kafka Connect looks a key's schema up under the subject of its topic.
 */
export function truncateKeyDefinition(key: AvroRecord): AvroRecord {
  return { ...key, fields: key.fields.map((id) => ({ ...id, type: ["null", id.type as AvroType], default: null })) };
}

/**
 * `Envelope {before, after, source, op, ts_ms}`, in the shape of Debezium's envelope. `before` has nothing but the `_id`
 * if op is d, and is null otherwise: other readers, for example Debezium's ExtractNewRecordState, take a delete without it
 * for a truncate. Version 0.1.0 left it null. `after` is null if and only if op is d or t. In unions, null is branch 0
 * and the value branch 1.
 */
export function envelopeDefinition(
  namespace: string,
  idType: IdType,
  { fields, children }: { readonly fields: readonly ValueField[]; readonly children: readonly ValueChild[] },
): AvroRecord {
  const value: AvroRecord = {
    type: "record",
    name: VALUE,
    doc: "A row: a document as its columns.",
    fields: [
      { name: "_id", doc: ID_DOCS[idType], type: idAvroType(idType), [ID_TYPE_PROPERTY]: idType },
      ...fields.map(columnField),
      ...children.map((child) => childField(child, VALUE)),
    ],
  };
  return {
    type: "record",
    name: "Envelope",
    namespace,
    doc: "A change of one document, or a truncate.",
    fields: [
      field("before", ["null", value], "For op d, the deleted row's _id, and nulls. Null for every other op."),
      field("after", ["null", VALUE], "The row as it is after the change. Null for op d and t."),
      { name: "source", doc: "Where the change comes from.", type: SOURCE },
      { name: "op", doc: OP_DOC, type: "string" },
      { name: "ts_ms", doc: "When Headrace wrote the record, in ms since 1970.", type: "long" },
    ],
  };
}

const VALUE = "Value";

function columnField({ column, type, avroType, doc }: ValueField): AvroField {
  return {
    name: escapeAvroName(column),
    doc,
    type: ["null", avroType],
    default: null,
    "headrace.column": column,
    "headrace.type": type.sql,
  };
}

/** @param around the name of the record that the child is a field of: it makes the name of the elements' record unique */
function childField({ name, elements, hasForeignKey, fields, children, doc }: ValueChild, around: string): AvroField {
  const record = `${around}_${escapeAvroName(name)}`;
  const items: AvroRecord = {
    type: "record",
    name: record,
    doc: "An element of the array.",
    fields: [...fields.map(columnField), ...children.map((child) => childField(child, record))],
  };
  return {
    name: escapeAvroName(name),
    doc,
    type: ["null", { type: "array", items }],
    default: null,
    "headrace.child": name,
    "headrace.elements": elements,
    ...(hasForeignKey ? { "headrace.foreignKey": "true" } : {}),
  };
}

const OP_DOC =
  "c: created, u: updated, d: deleted, r: read by a snapshot, t: truncate. A truncate deletes the rows of its partition whose source.cluster_time is lower than its own.";

const SNAPSHOT_DOC =
  "true: read by a snapshot. last_in_data_collection: the last record of the collection's snapshot. last: the same, and no other snapshot is running. incremental: read because a signal asked for this document. false: from the change stream.";

/** New fields need a default, so that the registry accepts the schema, and readers of it can read old records. */
const SOURCE: AvroRecord = {
  type: "record",
  name: "Source",
  doc: "Where a change comes from. The names are those of Debezium's MongoDB connector.",
  fields: [
    { name: "version", doc: "Headrace's version.", type: "string" },
    { name: "connector", doc: "Always mongodb.", type: "string" },
    { name: "name", doc: "The pipeline's name.", type: "string" },
    { name: "ts_ms", doc: "cluster_time in ms since 1970, in whole seconds.", type: "long" },
    { name: "snapshot", doc: SNAPSHOT_DOC, type: "string" },
    { name: "db", doc: "The MongoDB database.", type: "string" },
    { name: "collection", doc: "The MongoDB collection.", type: "string" },
    {
      name: "cluster_time",
      doc: "The version: MongoDB's cluster time of this state of the document, seconds << 32 | increment. It never falls for a key.",
      type: "long",
    },
    field("ts_us", ["null", "long"], "cluster_time in microseconds since 1970, in whole seconds."),
    field(
      "ord",
      ["null", "long"],
      "The increment of cluster_time: the order of changes within one second. All changes of one transaction have the same.",
    ),
  ],
};

function field(name: string, type: AvroField["type"], doc: string): AvroField {
  return { name, doc, type, default: null };
}

/** The name of the Avro type that `_id`s have. */
export function idAvroTypeName(idType: IdType): "long" | "string" {
  return idType === "integer" ? "long" : "string";
}

/** The `_id` type of a key schema that `keyDefinition` made; undefined for any other schema. */
export function idTypeOfKey(definition: unknown): IdType | undefined {
  const idType = (definition as { readonly [ID_TYPE_PROPERTY]?: unknown } | null | undefined)?.[ID_TYPE_PROPERTY];
  return ID_TYPES.find((each) => each === idType);
}

const ID_DOCS: Readonly<Record<IdType, string>> = {
  objectId: "The document's _id: an ObjectId in 24 hex digits.",
  string: "The document's _id: a text.",
  integer: "The document's _id: an integer.",
  uuid: "The document's _id: a UUID.",
  mixed: "The document's _id, of any type: canonical Extended JSON.",
};

function idAvroType(idType: IdType): AvroType {
  const type = idAvroTypeName(idType);
  return idType === "uuid" ? { type, logicalType: "uuid" } : type;
}
