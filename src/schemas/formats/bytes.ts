/**
 * Returns the length of the UTF-8 sequence of two to four bytes at `at`. If the sequence is ill-formed, returns the
 * negative length of the part that decoders replace by one U+FFFD (Unicode 16, §3.9, "U+FFFD Substitution of Maximal
 * Subparts").
 */
export function sequenceLength(bytes: Buffer, at: number, end: number): number {
  const lead = bytes[at] as number;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const second = at + 1 < end ? (bytes[at + 1] as number) : 0;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return -1;
  for (let index = 2; index < length; index++) {
    if (at + index >= end || ((bytes[at + index] as number) & 0xc0) !== 0x80) return -index;
  }
  return length;
}

/** Up to this length, a loop copies faster than a native call (docs/adr/0001-raw-bson-to-avro.md). */
export const SHORT_BYTES = 96;

/** Copies the bytes of `source` from `start` to `end` to `target` at `at`. `target` must be large enough. */
export function copyBytes(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  if (end - start > SHORT_BYTES) source.copy(target, at, start, end);
  else for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] as number;
}
