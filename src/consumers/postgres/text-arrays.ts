import { copyBytes } from "../../schemas/formats/bytes.ts";

/** pg_type's oid of text; it never changes. */
const TEXT_OID = 25;

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;

/**
 * A `text[]` parameter in PostgreSQL's binary format (array_send): the number of dimensions, a flag for NULLs, the
 * element type's oid, the length, the lower bound; then each element's length and bytes. Not for empty arrays.
 *
 * Why not the driver's own array literals: those quote and escape every element. Measured with 15 columns and 2,000
 * rows a statement, client CPU: the driver's 5–7 µs a row, own literals 4–5 µs, this 3–4 µs; with 2 KB of JSON a row
 * 45 µs against 12 µs. Typed arrays (`bigint[]` …) instead of casts on the server gain nothing.
 */
export function textArray(texts: readonly string[]): Buffer {
  let size = HEADER_BYTES;
  for (const text of texts) size += LENGTH_BYTES + Buffer.byteLength(text);
  const buffer = Buffer.allocUnsafe(size);
  writeHeader(buffer, texts.length, false);
  let at = HEADER_BYTES;
  for (const text of texts) {
    const length = buffer.write(text, at + LENGTH_BYTES);
    at = buffer.writeInt32BE(length, at) + length;
  }
  return buffer;
}

/**
 * A `text[]` for each column, in order, of the rows' cells (`Change.cells`), which are its elements as they stand.
 * @throws TypeError where a row has not one cell for each column: a bug
 */
export function columnArrays(rows: readonly Buffer[], columns: number): Buffer[] {
  const sizes = new Float64Array(columns).fill(HEADER_BYTES);
  const haveNull = new Uint8Array(columns);
  for (const row of rows) addSizes(row, sizes, haveNull);
  const arrays = Array.from(sizes, (size) => Buffer.allocUnsafe(size));
  for (const [column, array] of arrays.entries()) writeHeader(array, rows.length, haveNull[column] === 1);
  const ends = new Float64Array(columns).fill(HEADER_BYTES);
  for (const row of rows) appendCells(row, arrays, ends);
  return arrays;
}

function addSizes(row: Buffer, sizes: Float64Array, haveNull: Uint8Array): void {
  let at = 0;
  for (let column = 0; column < sizes.length; column++) {
    const length = lengthAt(row, at);
    if (length < 0) haveNull[column] = 1;
    const size = length < 0 ? LENGTH_BYTES : LENGTH_BYTES + length;
    (sizes[column] as number) += size;
    at += size;
  }
  if (at !== row.length) throw new TypeError("a row does not have the cells that its RowSchema says");
}

function appendCells(row: Buffer, arrays: readonly Buffer[], ends: Float64Array): void {
  let at = 0;
  for (let column = 0; column < arrays.length; column++) {
    const array = arrays[column] as Buffer;
    const start = ends[column] as number;
    const size = LENGTH_BYTES + Math.max(lengthAt(row, at), 0);
    copyBytes(row, at, at + size, array, start);
    ends[column] = start + size;
    at += size;
  }
}

function lengthAt(row: Buffer, at: number): number {
  return (
    ((row[at] as number) << 24) |
    ((row[at + 1] as number) << 16) |
    ((row[at + 2] as number) << 8) |
    (row[at + 3] as number)
  );
}

function writeHeader(array: Buffer, length: number, hasNull: boolean): void {
  for (const [index, word] of [1, hasNull ? 1 : 0, TEXT_OID, length, 1].entries()) array.writeInt32BE(word, 4 * index);
}
