import { escapeAvroName } from "./avro-name.ts";
import { type AvroType, avroTypeOf } from "./column-type.ts";
import { ID_TYPES, type IdType, type ValueField } from "./mapping.ts";

const ID_TYPE_PROPERTY = "headrace.idType";

interface AvroField {
  readonly name: string;
  readonly type: AvroType | AvroRecord | readonly (AvroType | AvroRecord)[];
  readonly default?: null;
  readonly [property: `headrace.${string}`]: string;
}

/** The Avro definition of a record, as JSON. */
export interface AvroRecord {
  readonly type: "record";
  readonly name: string;
  readonly namespace?: string;
  readonly fields: readonly AvroField[];
  readonly [property: `headrace.${string}`]: string;
}

/** `Key {_id}`. */
export function keyDefinition(namespace: string, idType: IdType): AvroRecord {
  return {
    type: "record",
    name: "Key",
    namespace,
    [ID_TYPE_PROPERTY]: idType,
    fields: [{ name: "_id", type: idAvroType(idType) }],
  };
}

/**
 * `Envelope {before, after, source, op, ts_ms}`, in the shape of Debezium's envelope. `before` is always null. `after`
 * is null if and only if op is d or t. In unions, null is branch 0 and the value branch 1.
 */
export function envelopeDefinition(namespace: string, idType: IdType, fields: readonly ValueField[]): AvroRecord {
  const value: AvroRecord = {
    type: "record",
    name: "Value",
    fields: [
      { name: "_id", type: idAvroType(idType), [ID_TYPE_PROPERTY]: idType },
      ...fields.map(({ column, type }): AvroField => ({
        name: escapeAvroName(column),
        type: ["null", avroTypeOf(type)],
        default: null,
        "headrace.column": column,
        "headrace.type": type.sql,
      })),
    ],
  };
  return {
    type: "record",
    name: "Envelope",
    namespace,
    fields: [
      { name: "before", type: ["null", value], default: null },
      { name: "after", type: ["null", "Value"], default: null },
      { name: "source", type: SOURCE },
      { name: "op", type: "string" },
      { name: "ts_ms", type: "long" },
    ],
  };
}

/**
 * `version`: Headrace's version. `ts_ms`: the cluster time in ms since 1970. `snapshot`: "true" or "false".
 * `cluster_time`: the event's version.
 */
const SOURCE: AvroRecord = {
  type: "record",
  name: "Source",
  fields: [
    { name: "version", type: "string" },
    { name: "connector", type: "string" },
    { name: "name", type: "string" },
    { name: "ts_ms", type: "long" },
    { name: "snapshot", type: "string" },
    { name: "db", type: "string" },
    { name: "collection", type: "string" },
    { name: "cluster_time", type: "long" },
  ],
};

/** The name of the Avro type that `_id`s have. */
export function idAvroTypeName(idType: IdType): "long" | "string" {
  return idType === "integer" ? "long" : "string";
}

/** The `_id` type of a key schema that `keyDefinition` made; undefined for any other schema. */
export function idTypeOfKey(definition: unknown): IdType | undefined {
  const idType = (definition as { readonly [ID_TYPE_PROPERTY]?: unknown } | null | undefined)?.[ID_TYPE_PROPERTY];
  return ID_TYPES.find((each) => each === idType);
}

function idAvroType(idType: IdType): AvroType {
  const type = idAvroTypeName(idType);
  return idType === "uuid" ? { type, logicalType: "uuid" } : type;
}
