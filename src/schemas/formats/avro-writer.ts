import { isUtf8 } from "node:buffer";
import { HeadraceError } from "../../errors/error.ts";
import { sequenceLength, copyBytes, SHORT_BYTES } from "./bytes.ts";

const INITIAL_BYTES = 64 * 1024;
/** From this size on, `take` hands out the buffer itself instead of a copy. */
const LARGE_BYTES = 256 * 1024;
/** A larger buffer is not kept for the next event. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** More than any topic accepts. As JSON, a document of many small values is several times larger than as BSON. */
const MOST_BYTES = 128 * 1024 * 1024;

/** Splits a bigint without bigint arithmetic. */
const HALVES = new DataView(new ArrayBuffer(8));

/**
 * Writes Avro's binary encoding into one buffer that is reused. `write…` writes a whole Avro value; `append…` adds
 * bytes to a string that was started with `beginText`.
 */
export class AvroWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  position = 0;
  /** How many NUL characters and bytes that are not UTF-8 were replaced or removed, since the writer was made. */
  replaced = 0;
  readonly #nulText: string | null;
  /** Bytes reserved for the length of a text. Taken from the last text, because texts of one collection are similar. */
  #lengthBytes = 1;

  /** @param nulText the text that is written for a NUL character; null if a NUL character is an error */
  constructor(nulText: string | null = "\ufffd") {
    this.#nulText = nulText;
  }

  /** Returns what was written, in a buffer that will not change, and resets the writer. */
  take(): Buffer {
    const length = this.position;
    const isLarge = length >= LARGE_BYTES && length >= this.bytes.length / 2;
    const taken = isLarge ? this.bytes.subarray(0, length) : Buffer.allocUnsafe(length);
    if (isLarge) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    else copyBytes(this.bytes, 0, length, taken, 0);
    this.reset();
    return taken;
  }

  /** Discards what was written. Releases the buffer if a huge document made it large. */
  reset(): void {
    this.position = 0;
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  /** Makes room for `count` bytes. @throws HeadraceError DOCUMENT_UNENCODABLE if the event gets larger than 128 MB */
  ensure(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    if (needed > MOST_BYTES) {
      throw new HeadraceError("DOCUMENT_UNENCODABLE", {
        message: `The record of the document would be larger than ${MOST_BYTES / 1024 / 1024} MB.`,
        remedy: "Make the document smaller, or leave its collection out.",
      });
    }
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.bytes.length * 2), MOST_BYTES));
    this.bytes.copy(larger, 0, 0, this.position);
    this.bytes = larger;
  }

  /** @param high the upper 32 bits, @param low the lower 32 bits; each signed or unsigned */
  writeLong(high: number, low: number): void {
    this.ensure(10);
    const sign = high >> 31;
    let zigzagLow = (low << 1) ^ sign;
    let zigzagHigh = ((high << 1) | (low >>> 31)) ^ sign;
    const bytes = this.bytes;
    let position = this.position;
    while (zigzagHigh !== 0 || zigzagLow >>> 7 !== 0) {
      bytes[position++] = (zigzagLow & 0x7f) | 0x80;
      zigzagLow = (zigzagLow >>> 7) | (zigzagHigh << 25);
      zigzagHigh >>>= 7;
    }
    bytes[position++] = zigzagLow;
    this.position = position;
  }

  /** @param value a signed integer of 32 bits */
  writeInt(value: number): void {
    this.writeLong(value >> 31, value);
  }

  /** @param value an integer that a double holds exactly */
  writeSafeLong(value: number): void {
    this.writeLong(Math.floor(value / 0x100000000), value | 0);
  }

  writeBigLong(value: bigint): void {
    HALVES.setBigInt64(0, value);
    this.writeLong(HALVES.getInt32(0), HALVES.getInt32(4));
  }

  writeDouble(value: number): void {
    this.ensure(8);
    this.position = this.bytes.writeDoubleLE(value, this.position);
  }

  writeBytes(source: Buffer, start: number, end: number): void {
    this.writeInt(end - start);
    this.appendBytes(source, start, end);
  }

  writeAscii(text: string): void {
    this.writeInt(text.length);
    this.appendAscii(text);
  }

  writeString(text: string): void {
    const length = Buffer.byteLength(text);
    this.writeInt(length);
    this.ensure(length);
    this.position += this.bytes.write(text, this.position, length);
  }

  /** Writes a string. Replaces what is not UTF-8, and NUL characters. */
  writeText(source: Buffer, start: number, end: number): void {
    const before = this.position;
    this.writeInt(end - start);
    if (end - start <= SHORT_BYTES && this.#appendShortAscii(source, start, end)) return;
    const text = source.subarray(start, end);
    if (isUtf8(text) && !text.includes(0)) {
      this.ensure(text.length);
      this.bytes.set(text, this.position);
      this.position += text.length;
    } else {
      this.position = before;
      this.#writeRepaired(source, start, end);
    }
  }

  appendByte(byte: number): void {
    this.ensure(1);
    this.bytes[this.position++] = byte;
  }

  appendAscii(text: string): void {
    this.ensure(text.length);
    const bytes = this.bytes;
    let position = this.position;
    for (let index = 0; index < text.length; index++) bytes[position++] = text.charCodeAt(index);
    this.position = position;
  }

  appendBytes(source: Buffer, start: number, end: number): void {
    this.ensure(end - start);
    copyBytes(source, start, end, this.bytes, this.position);
    this.position += end - start;
  }

  /**
   * Appends the replacement of a NUL character.
   * @throws HeadraceError DOCUMENT_UNENCODABLE if there is none
   */
  appendNul(): void {
    const text = this.#nulText;
    if (text === null) throw nulRefused();
    this.ensure(Buffer.byteLength(text));
    this.position += this.bytes.write(text, this.position);
    this.replaced++;
  }

  appendReplacement(): void {
    this.ensure(3);
    this.bytes[this.position++] = 0xef;
    this.bytes[this.position++] = 0xbf;
    this.bytes[this.position++] = 0xbd;
    this.replaced++;
  }

  /** Starts a string of unknown length. @returns the argument for `endText` */
  beginText(): number {
    this.ensure(5);
    this.position += this.#lengthBytes;
    return this.position;
  }

  /**
   * Writes the length in front of the text. Moves the text if the length needs more or fewer bytes than were reserved.
   */
  endText(begin: number): void {
    const length = this.position - begin;
    const before = begin - this.#lengthBytes;
    const lengthBytes = length < 1 << 6 ? 1 : length < 1 << 13 ? 2 : length < 1 << 20 ? 3 : 4;
    if (lengthBytes !== this.#lengthBytes) {
      this.ensure(4);
      this.bytes.copyWithin(before + lengthBytes, begin, this.position);
      this.#lengthBytes = lengthBytes;
    }
    this.position = before;
    this.writeInt(length);
    this.position += length;
  }

  #appendShortAscii(source: Buffer, start: number, end: number): boolean {
    this.ensure(SHORT_BYTES);
    const bytes = this.bytes;
    let position = this.position;
    for (let at = start; at < end; at++) {
      const byte = source[at] as number;
      if (byte === 0 || byte >= 0x80) return false;
      bytes[position++] = byte;
    }
    this.position = position;
    return true;
  }

  #writeRepaired(source: Buffer, start: number, end: number): void {
    const begin = this.beginText();
    for (let at = start; at < end;) {
      const byte = source[at] as number;
      const length = byte < 0x80 ? 1 : sequenceLength(source, at, end);
      if (length < 0) this.appendReplacement();
      if (byte === 0) this.appendNul();
      else for (let index = 0; index < length; index++) this.appendByte(source[at + index] as number);
      at += Math.abs(length);
    }
    this.endText(begin);
  }
}

function nulRefused(): HeadraceError {
  return new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: "A text in the document contains a NUL character, which PostgreSQL cannot store.",
    remedy:
      "Remove the character from the document and replay the dead letter. Or set documents.nulCharacters to replace or strip.",
  });
}
