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
 * @param rows one row in each; with `expected`, any number of rows without gaps
 * @param expected how many rows there are in all
 * @throws TypeError where a row does not have one cell for each column, which is a bug
 */
export function columnArrays(rows: readonly Buffer[], columns: number, expected = rows.length): Buffer[] {
  const sizes = new Float64Array(columns).fill(HEADER_BYTES);
  const haveNull = new Uint8Array(columns);
  let count = 0;
  for (const row of rows) count += addSizes(row, sizes, haveNull);
  if (count !== expected) throw new TypeError("there are other rows than expected");
  const arrays = Array.from(sizes, (size) => Buffer.allocUnsafe(size));
  for (const [column, array] of arrays.entries()) writeHeader(array, count, haveNull[column] === 1);
  const ends = new Float64Array(columns).fill(HEADER_BYTES);
  for (const row of rows) appendCells(row, arrays, ends);
  return arrays;
}

/** @returns how many rows there are */
function addSizes(rows: Buffer, sizes: Float64Array, haveNull: Uint8Array): number {
  let count = 0;
  let at = 0;
  for (; at < rows.length; count++) {
    for (let column = 0; column < sizes.length; column++) {
      const length = lengthAt(rows, at);
      if (length < 0) haveNull[column] = 1;
      const size = length < 0 ? LENGTH_BYTES : LENGTH_BYTES + length;
      (sizes[column] as number) += size;
      at += size;
    }
  }
  if (at !== rows.length) throw new TypeError("a row does not have one cell for each column of its RowSchema");
  return count;
}

function appendCells(rows: Buffer, arrays: readonly Buffer[], ends: Float64Array): void {
  for (let at = 0; at < rows.length;) {
    for (let column = 0; column < arrays.length; column++) {
      const array = arrays[column] as Buffer;
      const start = ends[column] as number;
      const size = LENGTH_BYTES + Math.max(lengthAt(rows, at), 0);
      copyBytes(rows, at, at + size, array, start);
      ends[column] = start + size;
      at += size;
    }
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
