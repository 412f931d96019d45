import { parseColumnType } from "../../schemas/mapping/column-type.ts";
import type { ColumnType } from "../../schemas/mapping/column-type.ts";

/** fits: the column holds every value. widen: it does after a change of its type. refuse: no change makes it hold them. */
export type ColumnFit = "fits" | "widen" | "refuse";

/**
 * Compares two types as format_type() writes them. One type holds another where PostgreSQL returns every value of the
 * other unchanged. So double precision does not hold real: 0.1 as real is another double. And text does not hold
 * numbers: a query would compare them differently.
 */
export function columnFit(actual: string, wanted: string): ColumnFit {
  if (actual === wanted) return "fits";
  const [actualType, wantedType] = [parse(actual), parse(wanted)];
  if (actualType === undefined || wantedType === undefined || actualType.isArray !== wantedType.isArray)
    return "refuse";
  if (holds(actualType, wantedType)) return "fits";
  return holds(wantedType, actualType) ? "widen" : "refuse";
}

const INTEGER_DIGITS: Readonly<Partial<Record<ColumnType["base"], number>>> = { smallint: 5, integer: 10, bigint: 19 };

const TEXTS: ReadonlySet<ColumnType["base"]> = new Set(["text", "character varying", "character"]);

function holds(column: ColumnType, values: ColumnType): boolean {
  if (column.base === "numeric") return numericHolds(column, values);
  if (column.base === "text" || column.base === "character varying") {
    return TEXTS.has(values.base) && (values.length ?? Infinity) <= (column.length ?? Infinity);
  }
  const digits = INTEGER_DIGITS[column.base];
  return digits === undefined ? column.sql === values.sql : (INTEGER_DIGITS[values.base] ?? Infinity) <= digits;
}

function numericHolds(column: ColumnType, values: ColumnType): boolean {
  const integerDigits = INTEGER_DIGITS[values.base];
  if (integerDigits === undefined && values.base !== "numeric") return false;
  if (column.length === undefined) return true;
  const scale = column.scale ?? 0;
  const wantedScale = values.scale ?? 0;
  const wantedDigits = integerDigits ?? (values.length ?? Infinity) - wantedScale;
  return scale >= wantedScale && column.length - scale >= wantedDigits;
}

/** Undefined for a type that Headrace does not know. It fits only itself. */
function parse(sqlType: string): ColumnType | undefined {
  try {
    return parseColumnType(sqlType);
  } catch {
    return undefined;
  }
}
