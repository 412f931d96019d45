import type { ColumnType } from "../../../src/schemas/mapping/column-type.ts";
// What a record must contain for a document. Simple, slow, and written in another way than the encoder.
import type { ColumnMapping } from "../../../src/schemas/mapping/mapping.ts";
import { type Bson, type Field, lastFields, mended, needsMending } from "../formats/bson-model.ts";
import {
  decimalParts,
  decimalText,
  extendedJson,
  isAltered,
  parseExactly,
  plainJson,
  uuidText,
} from "./expected-json.ts";

export const MISFIT = Symbol("misfit");

export interface ExpectedRecord {
  /** As avsc decodes them, jsonb as `parseExactly` gives it. */
  readonly columns: Readonly<Record<string, unknown>>;
  readonly extra: unknown;
  readonly misfits: ReadonlySet<string>;
}

export function expectedRecord(columns: readonly ColumnMapping[], fields: readonly Field[]): ExpectedRecord {
  const misfits = new Set<string>();
  const values = Object.fromEntries(columns.map((column) => [column.name, columnValue(column, fields, misfits)]));
  const rest = restOf(fields, columns, misfits);
  if (rest.some(({ name, value }) => needsMending(name) || isAltered(value))) misfits.add("_extra");
  const extra = rest.length === 0 ? null : parseExactly(extendedJson({ type: "document", fields: rest }));
  return { columns: values, extra, misfits };
}

/** The content of a column of this type for a BSON value, or nothing if the value does not fit. */
export function fitted(type: ColumnType, value: Bson): unknown {
  if (!type.isArray) return fittedItem(type, value);
  if (value.type !== "array") return MISFIT;
  const items = value.items.map((item) => (item.type === "null" ? null : fittedItem(type, item)));
  return items.includes(MISFIT) ? MISFIT : items;
}

function columnValue({ name, path, type }: ColumnMapping, fields: readonly Field[], misfits: Set<string>): unknown {
  const found = findPath(fields, path);
  if (found === "blocked") misfits.add(name);
  if (found === undefined || found === "blocked" || found.type === "null") return null;
  const value = fitted(type, found);
  if (value === MISFIT || isAltered(found)) misfits.add(name);
  return value === MISFIT ? null : value;
}

function findPath(fields: readonly Field[], [step, ...rest]: readonly string[]): Bson | "blocked" | undefined {
  const value = lastFields(fields).find(
    ({ name }) => name.toString("latin1") === Buffer.from(step!).toString("latin1"),
  )?.value;
  if (value === undefined || rest.length === 0) return value;
  if (value.type === "document") return findPath(value.fields, rest);
  return value.type === "null" ? undefined : "blocked";
}

/** The fields, or parts of fields, that no column holds. */
function restOf(fields: readonly Field[], columns: readonly ColumnMapping[], misfits: Set<string>): readonly Field[] {
  const last = lastFields(fields);
  if (last.length < fields.length) misfits.add("_extra");
  return last.flatMap((original): Field[] => {
    const { name, value } = original;
    const below = columns
      .filter(({ path }) => Buffer.from(path[0]!).equals(name))
      .map((column) => ({ ...column, path: column.path.slice(1) }));
    const holder = below.find(({ path }) => path.length === 0);
    if (holder !== undefined) return value.type === "null" || fitted(holder.type, value) !== MISFIT ? [] : [original];
    if (below.length === 0 || value.type !== "document" || value.fields.length === 0) return [original];
    const rest = restOf(value.fields, below, misfits);
    return rest.length === 0 ? [] : [{ name, value: { type: "document", fields: rest } }];
  });
}

function fittedItem(type: ColumnType, value: Bson): unknown {
  switch (type.base) {
    case "text":
      return textOf(value) ?? MISFIT;
    case "character varying":
      return fits(textOf(value), (text) => type.length === undefined || characters(text) <= type.length);
    case "character":
      return fits(textOf(value), (text) => characters(text) === type.length && !text.endsWith(" "));
    case "smallint":
      return fits(integerOf(value), (integer) => BigInt.asIntN(16, integer) === integer);
    case "integer":
      return fits(integerOf(value), (integer) => BigInt.asIntN(32, integer) === integer);
    case "bigint":
      return fits(integerOf(value), (integer) => BigInt.asIntN(64, integer) === integer);
    case "real":
      return fits(doubleOf(value), (double) => isReal(double));
    case "double precision":
      return doubleOf(value) ?? MISFIT;
    case "numeric":
      return fits(numericOf(value), (text) => isNumeric(text, type));
    case "boolean":
      return value.type === "boolean" ? value.value : MISFIT;
    case "date":
      return dayOf(value) ?? MISFIT;
    case "timestamp without time zone":
    case "timestamp with time zone":
      return timestampOf(value) ?? MISFIT;
    case "uuid":
      if (value.type === "string")
        return fits(mended(value.utf8), (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text));
      return value.type === "binary" ? (uuidText(value) ?? MISFIT) : MISFIT;
    case "bytea":
      return value.type === "binary" && value.subtype !== 3 && value.subtype !== 4 ? value.bytes : MISFIT;
    case "jsonb":
    default:
      return parseExactly(plainJson(value));
  }
}

function fits<T>(value: T | undefined, test: (value: T) => boolean): T | typeof MISFIT {
  return value !== undefined && test(value) ? value : MISFIT;
}

/** The length in code points, as PostgreSQL counts. */
function characters(text: string): number {
  return Array.from(text).length;
}

function textOf(value: Bson): string | undefined {
  if (value.type === "string") return mended(value.utf8);
  if (value.type === "objectId") return value.bytes.toString("hex");
  return value.type === "binary" ? uuidText(value) : undefined;
}

function integerOf(value: Bson): bigint | undefined {
  if (value.type === "int32" || value.type === "int64") return BigInt(value.value);
  if (value.type === "double") {
    return Number.isInteger(value.value) && !Object.is(value.value, -0) && Math.abs(value.value) <= 2 ** 53
      ? BigInt(value.value)
      : undefined;
  }
  const text = value.type === "decimal128" ? numericOf(value) : undefined;
  if (text === undefined || /[a-z]/.test(text)) return undefined;
  const [coefficient, exponent] = decimalParts(text);
  if (exponent > 40 || coefficient === 0n) return coefficient === 0n ? 0n : undefined;
  if (exponent >= 0) return coefficient * 10n ** BigInt(exponent);
  return coefficient % 10n ** BigInt(-exponent) === 0n ? coefficient / 10n ** BigInt(-exponent) : undefined;
}

function doubleOf(value: Bson): number | undefined {
  if (value.type === "double" || value.type === "int32") return value.value;
  return value.type === "int64" && value.value >= -(2n ** 53n) && value.value <= 2n ** 53n
    ? Number(value.value)
    : undefined;
}

function isReal(value: number): boolean {
  const single = Math.fround(value);
  return Object.is(single, value) || (Math.abs(value) >= 2 ** -126 && Number(single.toPrecision(6)) === value);
}

/** numeric has no negative zero. */
function numericOf(value: Bson): string | undefined {
  if (value.type === "int32" || value.type === "int64") return String(value.value);
  if (value.type === "double") return Object.is(value.value, -0) ? undefined : String(value.value);
  const text = value.type === "decimal128" ? decimalText(value) : undefined;
  return text === undefined || /^-0(\.0*)?(E.*)?$/.test(text) ? undefined : text;
}

function isNumeric(text: string, { length, scale }: ColumnType): boolean {
  if (length === undefined || text === "NaN") return true;
  if (text.endsWith("Infinity")) return false;
  const [coefficient, exponent] = decimalParts(text);
  if (coefficient === 0n) return true;
  const shift = exponent + (scale ?? 0);
  if (shift > length) return false;
  if (shift < 0 && coefficient % 10n ** BigInt(-shift) !== 0n) return false;
  const scaled = shift < 0 ? coefficient / 10n ** BigInt(-shift) : coefficient * 10n ** BigInt(shift);
  return (scaled < 0n ? -scaled : scaled) < 10n ** BigInt(length);
}

function dayOf(value: Bson): number | undefined {
  const ms = timestampOf(value);
  return ms !== undefined && ms % 86_400_000n === 0n ? Number(ms / 86_400_000n) : undefined;
}

function timestampOf(value: Bson): bigint | undefined {
  return value.type === "date" && value.value >= -210866803200000n && value.value < 9224318016000000n
    ? value.value
    : undefined;
}
