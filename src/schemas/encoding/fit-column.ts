import type { AvroWriter } from "../formats/avro-writer.ts";
import { BinarySubtype, BsonType, binaryStart, cstringEnd, valueEnd } from "../formats/bson-reader.ts";
import type { ColumnBase, ColumnType } from "../mapping/column-type.ts";
import { bigintFit, doublePrecisionFit, integerFit, numericFit, realFit, smallintFit } from "./fit-number.ts";
import { charFit, textFit, uuidFit, varcharFit } from "./fit-text.ts";
import { dateFit, dateInMsFit, timestampFit } from "./fit-time.ts";
import { type Fit, NULL_BRANCH, VALUE_BRANCH } from "./fit.ts";
import type { JsonWriter } from "./json-writer.ts";

const FITS: Readonly<Record<Exclude<ColumnBase, "jsonb">, (out: AvroWriter, column: ColumnType) => Fit>> = {
  text: textFit,
  "character varying": varcharFit,
  character: charFit,
  smallint: smallintFit,
  integer: integerFit,
  bigint: bigintFit,
  real: realFit,
  "double precision": doublePrecisionFit,
  numeric: numericFit,
  boolean: booleanFit,
  date: dateFit,
  "timestamp without time zone": timestampFit,
  "timestamp with time zone": timestampFit,
  uuid: uuidFit,
  bytea: byteaFit,
};

interface FitOptions {
  /** The fit of jsonb columns, which take any value. */
  readonly jsonb: Fit;
  /** As that of `avroTypeOf`. */
  readonly isLong: boolean;
}

/** How a column's values are written to `out`. */
export function fitOf(column: ColumnType, out: AvroWriter, options: FitOptions): Fit {
  const fit = itemFit(column, out, options);
  return column.isArray ? arrayFit(out, fit) : fit;
}

function itemFit(column: ColumnType, out: AvroWriter, { jsonb, isLong }: FitOptions): Fit {
  if (column.base === "jsonb") return jsonb;
  return column.base === "date" && isLong ? dateInMsFit(out) : FITS[column.base](out, column);
}

/** Any value fits a jsonb column. */
export function jsonbFit(out: AvroWriter, plain: JsonWriter): Fit {
  return (bytes, type, start, end) => {
    const text = out.beginText();
    plain.appendValue(bytes, type, start, end, 1);
    out.endText(text);
    return true;
  };
}

/** Arrays whose items all fit or are null. */
function arrayFit(out: AvroWriter, fitItem: Fit): Fit {
  return (bytes, type, start, end) => {
    if (type !== BsonType.array) return false;
    const last = end - 1;
    const count = countItems(bytes, start, last);
    if (count > 0) out.writeInt(count);
    for (let at = start + 4; at < last;) {
      const itemType = bytes[at] as number;
      const itemStart = cstringEnd(bytes, at + 1, last);
      at = valueEnd(bytes, itemType, itemStart, last);
      const isNull = itemType === BsonType.null;
      out.appendByte(isNull ? NULL_BRANCH : VALUE_BRANCH);
      if (!isNull && !fitItem(bytes, itemType, itemStart, at)) return false;
    }
    out.writeInt(0);
    return true;
  };
}

/** How many items an array has. @param last the position of its last byte */
export function countItems(bytes: Buffer, start: number, last: number): number {
  let count = 0;
  for (let at = start + 4; at < last; count++) {
    at = valueEnd(bytes, bytes[at] as number, cstringEnd(bytes, at + 1, last), last);
  }
  return count;
}

function booleanFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    if (type !== BsonType.boolean) return false;
    out.appendByte(bytes[start] as number);
    return true;
  };
}

function byteaFit(out: AvroWriter): Fit {
  return (bytes, type, start, end) => {
    if (type !== BsonType.binary) return false;
    const subtype = bytes[start + 4];
    if (subtype === BinarySubtype.uuid || subtype === BinarySubtype.legacyUuid) return false;
    out.writeBytes(bytes, binaryStart(bytes, start), end);
    return true;
  };
}
