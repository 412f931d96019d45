import type { AvroWriter } from "./avro-writer.ts";

const HEX = Buffer.from("0123456789abcdef");
const DASH = 0x2d;
/** A multiple of three, so that there is no padding before the end. */
const BASE64_BYTES = 48 * 1024;

/** An int64 in decimal. */
export function int64Text(bytes: Buffer, start: number): string {
  const high = bytes.readInt32LE(start + 4);
  const isSafe = high >= -0x200000 && high < 0x200000;
  return String(isSafe ? high * 0x100000000 + bytes.readUInt32LE(start) : bytes.readBigInt64LE(start));
}

/** 16 bytes as a UUID of 36 characters. */
export function appendUuid(out: AvroWriter, bytes: Buffer, start: number): void {
  appendHex(out, bytes, start, start + 4);
  for (let at = start + 4; at < start + 10; at += 2) {
    out.appendByte(DASH);
    appendHex(out, bytes, at, at + 2);
  }
  out.appendByte(DASH);
  appendHex(out, bytes, start + 10, start + 16);
}

/** A buffer that hexadecimal digits are written to. */
interface ByteTarget {
  readonly bytes: Buffer;
  position: number;
  /** Makes room for `count` bytes at `position`. */
  ensure(count: number): void;
}

export function appendHex(out: ByteTarget, bytes: Buffer, start: number, end: number): void {
  out.ensure(2 * (end - start));
  const target = out.bytes;
  let position = out.position;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    target[position++] = HEX[byte >> 4] as number;
    target[position++] = HEX[byte & 0xf] as number;
  }
  out.position = position;
}

/** Writes in pieces, so that a large binary does not become a large string first. */
export function appendBase64(out: AvroWriter, bytes: Buffer, start: number, end: number): void {
  for (let at = start; at < end; at += BASE64_BYTES) {
    out.appendAscii(bytes.toString("base64", at, Math.min(at + BASE64_BYTES, end)));
  }
}
