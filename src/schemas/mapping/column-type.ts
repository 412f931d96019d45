import { HeadraceError } from "../../errors/error.ts";

/** A PostgreSQL column type that Headrace can fill, in normal form. */
export interface ColumnType {
  /**
   * As PostgreSQL's `format_type()` writes it: `numeric(10,2)`, `character varying(20)`, `timestamp with time zone`,
   * `text[]`.
   */
  readonly sql: string;
  readonly base: ColumnBase;
  readonly isArray: boolean;
  /** Character types: the maximum number of characters. numeric: the precision. */
  readonly length: number | undefined;
  /** numeric only. */
  readonly scale: number | undefined;
}

export type ColumnBase =
  | "text"
  | "character varying"
  | "character"
  | "smallint"
  | "integer"
  | "bigint"
  | "real"
  | "double precision"
  | "numeric"
  | "boolean"
  | "date"
  | "timestamp without time zone"
  | "timestamp with time zone"
  | "uuid"
  | "bytea"
  | "jsonb";

/** An Avro type as JSON. */
export type AvroType = string | { readonly type: AvroType; readonly [property: string]: unknown };

/** Every accepted spelling, including PostgreSQL's aliases. */
const BASES: ReadonlyMap<string, ColumnBase> = new Map([
  ["text", "text"],
  ["character varying", "character varying"],
  ["varchar", "character varying"],
  ["character", "character"],
  ["char", "character"],
  ["smallint", "smallint"],
  ["int2", "smallint"],
  ["integer", "integer"],
  ["int", "integer"],
  ["int4", "integer"],
  ["bigint", "bigint"],
  ["int8", "bigint"],
  ["real", "real"],
  ["float4", "real"],
  ["double precision", "double precision"],
  ["float8", "double precision"],
  ["float", "double precision"],
  ["numeric", "numeric"],
  ["decimal", "numeric"],
  ["boolean", "boolean"],
  ["bool", "boolean"],
  ["date", "date"],
  ["timestamp", "timestamp without time zone"],
  ["timestamp without time zone", "timestamp without time zone"],
  ["timestamptz", "timestamp with time zone"],
  ["timestamp with time zone", "timestamp with time zone"],
  ["uuid", "uuid"],
  ["bytea", "bytea"],
  ["jsonb", "jsonb"],
]);

/** The maximum count of numbers in parentheses. */
const MODIFIERS: Partial<Record<ColumnBase, number>> = { "character varying": 1, character: 1, numeric: 2 };

const AVRO_TYPES: Readonly<Record<ColumnBase, AvroType>> = {
  text: "string",
  "character varying": "string",
  character: "string",
  smallint: "long",
  integer: "long",
  bigint: "long",
  real: "double",
  "double precision": "double",
  // Avro's decimal has one scale, and no NaN. Readers that do not know this logical type read the text.
  numeric: { type: "string", logicalType: "headrace.numeric", "connect.name": "headrace.numeric" },
  boolean: "boolean",
  date: { type: "int", logicalType: "date" },
  "timestamp without time zone": { type: "long", logicalType: "local-timestamp-millis" },
  "timestamp with time zone": { type: "long", logicalType: "timestamp-millis" },
  uuid: { type: "string", logicalType: "uuid" },
  bytea: "bytes",
  jsonb: { type: "string", "connect.name": "io.debezium.data.Json" },
};

/** Midnight of the day: how version 0.1.0 registered dates. */
const DATE_IN_MS: AvroType = { type: "long", logicalType: "local-timestamp-millis" };

const SYNTAX = /^([a-z0-9 ]+?) ?(?:\( ?(\d{1,9}) ?(?:, ?(-?\d{1,9}) ?)?\))?([a-z ]*?) ?(\[ ?\])?$/;

/**
 * Parses a column type as it is written in SQL, including aliases: `int8`, `timestamptz`, `varchar(20)`, `text[]`.
 * @throws HeadraceError MAPPING_INVALID with the supported types
 */
export function parseColumnType(text: string): ColumnType {
  const match = SYNTAX.exec(text.trim().toLowerCase().replace(/\s+/g, " "));
  const base = match === null ? undefined : BASES.get(`${match[1]}${match[4]}`.trim());
  if (match === null || base === undefined) {
    throw invalidType(text, "is not supported");
  }
  const [first, second] = [match[2], match[3]].map((digits) => (digits === undefined ? undefined : Number(digits)));
  const modifiers = first === undefined ? 0 : second === undefined ? 1 : 2;
  if (modifiers > (MODIFIERS[base] ?? 0)) throw invalidType(text, `has too many numbers in parentheses for ${base}`);
  const isArray = match[5] !== undefined;
  if (base === "numeric") {
    const scale = first === undefined ? undefined : (second ?? 0);
    if (first !== undefined && (first < 1 || first > 1000)) throw invalidType(text, "needs a precision from 1 to 1000");
    if (scale !== undefined && Math.abs(scale) > 1000) throw invalidType(text, "needs a scale from -1000 to 1000");
    return columnType(base, first, scale, isArray);
  }
  const length = base === "character" ? (first ?? 1) : first;
  if (length !== undefined && (length < 1 || length > 10_485_760)) {
    throw invalidType(text, "needs a length from 1 to 10485760");
  }
  return columnType(base, length, undefined, isArray);
}

/**
 * The Avro type T of a column's values. The column's field has the type `["null", T]` and the default null; the items
 * of an array also have a type `["null", …]`.
 * @param isLong whether the column is already registered with longs. The registry accepts no int after a long
 */
export function avroTypeOf(type: ColumnType, isLong = false): AvroType {
  const element = isLong && type.base === "date" ? DATE_IN_MS : AVRO_TYPES[type.base];
  return type.isArray ? { type: "array", items: ["null", element] } : element;
}

function columnType(
  base: ColumnBase,
  length: number | undefined,
  scale: number | undefined,
  isArray: boolean,
): ColumnType {
  const modifier = length === undefined ? "" : scale === undefined ? `(${length})` : `(${length},${scale})`;
  return { sql: `${base}${modifier}${isArray ? "[]" : ""}`, base, isArray, length, scale };
}

function invalidType(text: string, problem: string): HeadraceError {
  const allowed = [...new Set(BASES.values())].map((base) => {
    const modifiers = MODIFIERS[base] ?? 0;
    return modifiers === 0 ? base : `${base}${modifiers === 1 ? "(n)" : "(p,s)"}`;
  });
  return new HeadraceError("MAPPING_INVALID", {
    message: `Column type "${text}" ${problem}.`,
    remedy: `Supported types: ${allowed.join(", ")}; and arrays of each (text[]).`,
  });
}
