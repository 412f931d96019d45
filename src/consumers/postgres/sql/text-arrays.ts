import { copyBytes } from "../../../schemas/formats/bytes.ts";

/** The oid of text in pg_type. It never changes. */
const TEXT_OID = 25;

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;

/**
 * Builds a `text[]` parameter in PostgreSQL's binary format (array_send): the number of dimensions, a flag for NULLs,
 * the oid of the element type, the length and the lower bound; then each element's length and bytes. Not for empty
 * arrays. docs/adr/0004 says why not the driver's array literals.
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
 * Builds a `text[]` for each column, in order. The rows' cells (`Change.cells`) are its elements, byte for byte.
 * @throws TypeError where a row does not have one cell for each column, which is a bug
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
  if (at !== row.length) throw new TypeError("a row does not have one cell for each column of its RowSchema");
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
