import { CellWriter, cellTexts } from "../../../src/schemas/decoding/cells.ts";
import { cellOf } from "../../../src/schemas/decoding/column-cell.ts";
import { AvroReader } from "../../../src/schemas/formats/avro-reader.ts";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { avroTypeOf, type ColumnType } from "../../../src/schemas/mapping/column-type.ts";

/** What a column's cell says of a value, that avsc writes as Avro. */
export function cellTextOf(column: ColumnType): (value: unknown) => string | null {
  const union = avroType(["null", avroTypeOf(column)]);
  const writeCell = cellOf(column, union);
  const reader = new AvroReader();
  const cells = new CellWriter();
  return (value) => {
    reader.begin(union.toBuffer(value), 0);
    cells.beginRow(0);
    writeCell(reader, cells);
    reader.end();
    return cellTexts(cells.takeRow())[0] ?? null;
  };
}
