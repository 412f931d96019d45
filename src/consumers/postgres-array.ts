/** pg_type's oid of text; it never changes. */
const TEXT_OID = 25;

const HEADER_BYTES = 20;

/**
 * A `text[]` parameter in PostgreSQL's binary format (array_send): the number of dimensions, a flag for NULLs, the
 * element type's oid, the length, the lower bound; then each element's length and bytes. Not for empty arrays.
 *
 * Why not the driver's own array literals: those quote and escape every element. Measured with 15 columns and 2,000
 * rows a statement, client CPU: the driver's 5–7 µs a row, own literals 4–5 µs, this 3–4 µs; with 2 KB of JSON a row
 * 45 µs against 12 µs. Typed arrays (`bigint[]` …) instead of casts on the server gain nothing.
 */
export function textArray(values: readonly (string | null)[]): Buffer {
  let buffer: Buffer = Buffer.allocUnsafe(HEADER_BYTES + 32 * values.length);
  let end = HEADER_BYTES;
  let hasNull = 0;
  for (const value of values) {
    const needed = end + 4 + (value === null ? 0 : maxUtf8Bytes(value));
    if (needed > buffer.length) buffer = enlarge(buffer, end, needed);
    if (value === null) hasNull = 1;
    const bytes = value === null ? -1 : buffer.write(value, end + 4);
    buffer.writeInt32BE(bytes, end);
    end += 4 + Math.max(bytes, 0);
  }
  for (const [index, word] of [1, hasNull, TEXT_OID, values.length, 1].entries()) buffer.writeInt32BE(word, 4 * index);
  return buffer.subarray(0, end);
}

/** Exact for long texts, where three bytes a character would waste memory; a bound for short ones, where counting would cost time. */
function maxUtf8Bytes(text: string): number {
  return text.length > 1000 ? Buffer.byteLength(text) : 3 * text.length;
}

function enlarge(buffer: Buffer, used: number, needed: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(needed, 2 * buffer.length));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
