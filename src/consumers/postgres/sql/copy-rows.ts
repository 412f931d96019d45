import { copyBytes } from "../../../schemas/formats/bytes.ts";
import type { Upsert } from "../../batches/fold-batch.ts";

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BACKSLASH = 0x5c;
const CAPITAL_N = 0x4e;
const SMALL_R = 0x72;
const SMALL_T = 0x74;
const SMALL_N = 0x6e;

const LENGTH_BYTES = 4;
/** A row's version, tabs and line feed. */
const ROW_OVERHEAD_BYTES = 24;
/** Where a buffer was too small, the next one has this much more. */
const GROWTH_BYTES = 64 * 1024;

/**
 * Builds rows in the text format of COPY (https://www.postgresql.org/docs/current/sql-copy.html): the key, the version
 * and the cells of each upsert (`Change.cells`), with a tab between two values and a line feed after each row.
 * @throws TypeError where a row does not have one cell for each column, which is a bug
 */
export function copyRows(upserts: readonly Upsert[], columns: number): Buffer {
  const rows = new CopyRows(upserts.reduce((bytes, { cells }) => bytes + cells.length + 2 * ROW_OVERHEAD_BYTES, 0));
  for (const { key, version, cells } of upserts) {
    const keyBytes = Buffer.from(key);
    rows.appendValue(keyBytes, 0, keyBytes.length);
    rows.appendByte(TAB);
    rows.appendAscii(String(version));
    appendCells(rows, cells, columns);
    rows.appendByte(LINE_FEED);
  }
  return rows.take();
}

function appendCells(rows: CopyRows, cells: Buffer, columns: number): void {
  let at = 0;
  for (let column = 0; column < columns; column++) {
    if (at + LENGTH_BYTES > cells.length) throw wrongCells();
    const length = cells.readInt32BE(at);
    at += LENGTH_BYTES;
    rows.appendByte(TAB);
    if (length < 0) rows.appendNull();
    else rows.appendValue(cells, at, at + length);
    at += Math.max(length, 0);
  }
  if (at !== cells.length) throw wrongCells();
}

class CopyRows {
  #bytes: Buffer;
  #position = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes + GROWTH_BYTES);
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#position);
  }

  appendByte(byte: number): void {
    this.#ensure(1);
    this.#bytes[this.#position++] = byte;
  }

  appendAscii(text: string): void {
    this.#ensure(text.length);
    this.#position += this.#bytes.write(text, this.#position, "latin1");
  }

  appendNull(): void {
    this.#ensure(2);
    this.#bytes[this.#position++] = BACKSLASH;
    this.#bytes[this.#position++] = CAPITAL_N;
  }

  /** Appends a value, with a backslash before what would end it. */
  appendValue(source: Buffer, start: number, end: number): void {
    this.#ensure(2 * (end - start));
    const bytes = this.#bytes;
    let position = this.#position;
    for (let at = start; at < end; at++) {
      const byte = source[at] as number;
      const escaped = byte <= CARRIAGE_RETURN || byte === BACKSLASH ? escapeOf(byte) : 0;
      if (escaped === 0) {
        bytes[position++] = byte;
      } else {
        bytes[position++] = BACKSLASH;
        bytes[position++] = escaped;
      }
    }
    this.#position = position;
  }

  #ensure(count: number): void {
    if (this.#position + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(this.#position + count + GROWTH_BYTES);
    copyBytes(this.#bytes, 0, this.#position, larger, 0);
    this.#bytes = larger;
  }
}

/** 0: the byte stands for itself. */
function escapeOf(byte: number): number {
  if (byte === TAB) return SMALL_T;
  if (byte === LINE_FEED) return SMALL_N;
  if (byte === CARRIAGE_RETURN) return SMALL_R;
  return byte === BACKSLASH ? BACKSLASH : 0;
}

function wrongCells(): TypeError {
  return new TypeError("a row does not have one cell for each column of its RowSchema");
}
