import type { Type, types } from "avsc";
import type { AvroReader } from "../formats/avro-reader.ts";
import { avroTypeName } from "../formats/avro-type.ts";
import { appendHex } from "../formats/value-text.ts";
import type { ColumnType } from "../mapping/column-type.ts";
import type { CellWriter } from "./cells.ts";
import { appendDay, appendTime } from "./time-text.ts";

/** Reads a value and writes it as a column's cell. Throws a TypeError if the bytes are not such a value. */
export type WriteCell = (reader: AvroReader, cells: CellWriter) => void;

/** Writes the text of a value that is not null to a cell that has been started. */
type WriteText = WriteCell;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * Makes the function that writes a column's cells.
 * @param avro the column's union in the writer's schema
 * @throws TypeError if the column cannot have values of this Avro type
 */
export function cellOf(column: ColumnType, avro: Type): WriteCell {
  const texts = branchesOf(avro).map((branch) => branchText(branch, column, column.isArray ? arrayText : scalarText));
  return (reader, cells) => {
    const writeText = texts[reader.readBranch(texts.length)];
    if (writeText === undefined) {
      cells.appendNull();
    } else {
      cells.beginCell();
      writeText(reader, cells);
      cells.endCell();
    }
  };
}

function branchesOf(avro: Type): readonly Type[] {
  if (avroTypeName(avro) !== "union") throw new TypeError("a column is not nullable");
  return (avro as types.UnwrappedUnionType).types;
}

/** @returns undefined for the branch null */
function branchText(
  branch: Type,
  column: ColumnType,
  textOf: (branch: Type, column: ColumnType) => WriteText,
): WriteText | undefined {
  return avroTypeName(branch) === "null" ? undefined : textOf(branch, column);
}

/**
 * Depends on the branch, not on the column's type: a column whose type was widened also has values of its old Avro
 * type.
 */
function scalarText(branch: Type, column: ColumnType): WriteText {
  switch (avroTypeName(branch)) {
    case "string":
      return (reader, cells) => {
        const length = reader.readLength();
        cells.appendText(reader.bytes, reader.position, reader.position + length);
        reader.position += length;
      };
    case "bytes":
      return (reader, cells) => appendBytea(cells, reader, String.raw`\x`);
    case "int":
      return dayText(column);
    case "long":
      return longText(column);
    case "double":
      return (reader, cells) => appendDouble(cells, reader.readDouble());
    case "boolean":
      return (reader, cells) => cells.appendAscii(reader.readBoolean() ? "true" : "false");
    default:
      throw new TypeError(`a column cannot have the type ${branch.typeName}`);
  }
}

/** Writes the text of an array element inside its quotes. */
function elementText(branch: Type, column: ColumnType): WriteText {
  switch (avroTypeName(branch)) {
    case "string":
      return (reader, cells) => {
        const length = reader.readLength();
        cells.appendEscaped(reader.bytes, reader.position, reader.position + length);
        reader.position += length;
      };
    case "bytes":
      return (reader, cells) => appendBytea(cells, reader, String.raw`\\x`);
    default:
      return scalarText(branch, column);
  }
}

function arrayText(branch: Type, column: ColumnType): WriteText {
  if (avroTypeName(branch) !== "array") throw new TypeError("an array column has another type than array");
  const elements = branchesOf((branch as types.ArrayType).itemsType).map((item) =>
    branchText(item, column, elementText),
  );
  return (reader, cells) => {
    let isFirst = true;
    cells.appendByte(OPENING_BRACE);
    for (let count = reader.readBlock(); count > 0; count = reader.readBlock()) {
      for (; count > 0; count--) {
        if (!isFirst) cells.appendByte(COMMA);
        isFirst = false;
        appendElement(cells, reader, elements[reader.readBranch(elements.length)]);
      }
    }
    cells.appendByte(CLOSING_BRACE);
  };
}

function appendElement(cells: CellWriter, reader: AvroReader, writeText: WriteText | undefined): void {
  if (writeText === undefined) {
    cells.appendAscii("NULL");
  } else {
    cells.appendByte(QUOTE);
    writeText(reader, cells);
    cells.appendByte(QUOTE);
  }
}

/** Only dates are ints. */
function dayText({ base }: ColumnType): WriteText {
  if (base !== "date") throw new TypeError(`a column of type ${base} cannot have the type int`);
  return (reader, cells) => {
    reader.readLong();
    appendDay(cells, reader.number);
  };
}

function longText({ base }: ColumnType): WriteText {
  const zone = base === "timestamp with time zone" ? "Z" : base === "timestamp without time zone" ? "" : undefined;
  if (zone === undefined && base !== "date") return appendLong;
  return (reader, cells) => {
    reader.readLong();
    appendTime(cells, reader, zone);
  };
}

function appendLong(reader: AvroReader, cells: CellWriter): void {
  reader.readLong();
  if (reader.isSafe) cells.appendInteger(reader.number);
  else cells.appendAscii(String(reader.bigint));
}

function appendDouble(cells: CellWriter, value: number): void {
  if (Number.isInteger(value) && Math.abs(value) < 1e9 && !Object.is(value, -0)) cells.appendInteger(value);
  else cells.appendAscii(Object.is(value, -0) ? "-0" : String(value));
}

function appendBytea(cells: CellWriter, reader: AvroReader, prefix: string): void {
  const length = reader.readLength();
  cells.appendAscii(prefix);
  appendHex(cells, reader.bytes, reader.position, reader.position + length);
  reader.position += length;
}
