// The schemas that version 0.1.0 registered.

/** By column, in order: the Avro type of its values, and its type in PostgreSQL. */
export type OldColumns = Readonly<Record<string, readonly [avro: unknown, sql: string]>>;

const OLD_DATE = { type: "long", logicalType: "local-timestamp-millis" };
const OLD_JSONB = { type: "string", "connect.name": "io.debezium.data.Json" };

export const OLD_TYPES = {
  text: ["string", "text"],
  integer: ["long", "integer"],
  numeric: ["string", "numeric(10,2)"],
  date: [OLD_DATE, "date"],
  dates: [{ type: "array", items: ["null", OLD_DATE] }, "date[]"],
} as const satisfies OldColumns;

export function oldKeySchema(namespace: string, idType: "string" | "integer"): object {
  const type = idType === "integer" ? "long" : "string";
  return { type: "record", name: "Key", namespace, "headrace.idType": idType, fields: [{ name: "_id", type }] };
}

/** @param columns without `_extra` */
export function oldValueSchema(namespace: string, idType: "string" | "integer", columns: OldColumns): object {
  const fields = Object.entries({ ...columns, _extra: [OLD_JSONB, "jsonb"] as const }).map(([name, [avro, sql]]) => ({
    name,
    type: ["null", avro],
    default: null,
    "headrace.column": name,
    "headrace.type": sql,
  }));
  const id = { name: "_id", type: idType === "integer" ? "long" : "string", "headrace.idType": idType };
  const source = ["version", "connector", "name", "ts_ms", "snapshot", "db", "collection", "cluster_time"];
  return {
    type: "record",
    name: "Envelope",
    namespace,
    fields: [
      { name: "before", type: ["null", { type: "record", name: "Value", fields: [id, ...fields] }], default: null },
      { name: "after", type: ["null", "Value"], default: null },
      {
        name: "source",
        type: {
          type: "record",
          name: "Source",
          fields: source.map((name) => ({ name, type: /^ts_ms$|^cluster_time$/.test(name) ? "long" : "string" })),
        },
      },
      { name: "op", type: "string" },
      { name: "ts_ms", type: "long" },
    ],
  };
}
