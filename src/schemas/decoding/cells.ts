import { isUtf8 } from "node:buffer";

/** Rows share memory in pieces of this size. An allocation for each row would cost more than writing it. */
const SLAB_BYTES = 256 * 1024;
/** Up to this length, a loop that also looks for ASCII is faster than a native copy. */
const SHORT_TEXT_BYTES = 32;
const LENGTH_BYTES = 4;
const MINUS = 0x2d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Writes rows of cells (see `Change.cells`). */
export class CellWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  position = 0;
  #row = 0;
  #cell = 0;

  /** Starts a row and discards a row that was not taken. @param bytes the expected size */
  beginRow(bytes: number): void {
    this.position = this.#row;
    this.ensure(bytes);
  }

  takeRow(): Buffer {
    const row = this.bytes.subarray(this.#row, this.position);
    this.#row = this.position;
    // Later rows must not keep the memory of a huge row alive.
    if (this.bytes.length > SLAB_BYTES) {
      this.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#row = 0;
    }
    return row;
  }

  appendNull(): void {
    this.ensure(LENGTH_BYTES);
    this.position = this.bytes.writeInt32BE(-1, this.position);
  }

  /** Starts a cell. Everything that is appended until `endCell` is its text. */
  beginCell(): void {
    this.ensure(LENGTH_BYTES);
    this.#cell = this.position;
    this.position += LENGTH_BYTES;
  }

  endCell(): void {
    const { bytes } = this;
    const at = this.#cell;
    const length = this.position - at - LENGTH_BYTES;
    bytes[at] = length >>> 24;
    bytes[at + 1] = length >>> 16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
  }

  /** Makes room for `count` bytes. Rows that were taken keep their memory. */
  ensure(count: number): void {
    if (this.position + count <= this.bytes.length) return;
    const used = this.position - this.#row;
    const larger = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, used + Math.max(count, used)));
    this.bytes.copy(larger, 0, this.#row, this.position);
    this.bytes = larger;
    this.position = used;
    this.#cell -= this.#row;
    this.#row = 0;
  }

  appendByte(byte: number): void {
    this.ensure(1);
    this.bytes[this.position++] = byte;
  }

  appendAscii(text: string): void {
    this.ensure(text.length);
    const { bytes, position } = this;
    for (let index = 0; index < text.length; index++) bytes[position + index] = text.charCodeAt(index);
    this.position = position + text.length;
  }

  /** @param value an integer that a double holds exactly */
  appendInteger(value: number): void {
    if (value < 0) this.appendByte(MINUS);
    const magnitude = Math.abs(value);
    if (magnitude > 0x7fff_ffff) this.appendAscii(String(magnitude));
    else this.appendPadded(magnitude, 1);
  }

  /** @param value from 0 to 2^31 - 1 @param digits the minimum number of digits; zeros fill up */
  appendPadded(value: number, digits: number): void {
    let width = 1;
    for (let limit = 10; value >= limit; limit *= 10) width++;
    if (width < digits) width = digits;
    this.ensure(width);
    const { bytes, position } = this;
    let rest = value | 0;
    for (let at = position + width - 1; at >= position; at--) {
      const tenth = (rest / 10) | 0;
      bytes[at] = 0x30 + rest - tenth * 10;
      rest = tenth;
    }
    this.position = position + width;
  }

  /** @throws TypeError if the text is not UTF-8 */
  appendText(source: Buffer, start: number, end: number): void {
    const length = end - start;
    this.ensure(length);
    const { bytes, position } = this;
    this.position = position + length;
    if (length <= SHORT_TEXT_BYTES) {
      let all = 0;
      for (let index = 0; index < length; index++) {
        const byte = source[start + index] as number;
        bytes[position + index] = byte;
        all |= byte;
      }
      if (all < 0x80) return;
    } else {
      source.copy(bytes, position, start, end);
    }
    checkUtf8(source, start, end);
  }

  /** Appends a text as it is written inside the quotes of an array literal. @throws TypeError if it is not UTF-8 */
  appendEscaped(source: Buffer, start: number, end: number): void {
    this.ensure(2 * (end - start));
    const { bytes } = this;
    let { position } = this;
    let all = 0;
    for (let at = start; at < end; at++) {
      const byte = source[at] as number;
      if (byte === QUOTE || byte === BACKSLASH) bytes[position++] = BACKSLASH;
      bytes[position++] = byte;
      all |= byte;
    }
    this.position = position;
    if (all >= 0x80) checkUtf8(source, start, end);
  }
}

function checkUtf8(source: Buffer, start: number, end: number): void {
  if (!isUtf8(source.subarray(start, end))) throw new TypeError("a text is not UTF-8");
}

/** The texts of a row's cells (see `Change.cells`). */
export function cellTexts(cells: Buffer): (string | null)[] {
  const texts: (string | null)[] = [];
  for (let at = 0; at < cells.length;) {
    const length = cells.readInt32BE(at);
    at += 4;
    texts.push(length < 0 ? null : cells.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return texts;
}
