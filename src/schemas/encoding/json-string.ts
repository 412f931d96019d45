import type { AvroWriter } from "../formats/avro-writer.ts";
import { sequenceLength } from "../formats/bytes.ts";
import { appendHex } from "../formats/value-text.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** 1 for the bytes that need no escape in a JSON string. */
const PLAIN = new Uint8Array(256);
PLAIN.fill(1, 0x20, 0x80);
/** The letter after the backslash; 0 for bytes that are written as \u and four digits. */
const ESCAPE_LETTERS = new Uint8Array(256);
for (const [index, escaped] of [...Buffer.from('"\\\b\f\n\r\t')].entries()) {
  ESCAPE_LETTERS[escaped] = '"\\bfnrt'.charCodeAt(index);
  PLAIN[escaped] = 0;
}

/** Appends a JSON string. Replaces what is not UTF-8, and NUL characters. */
export function appendJsonString(out: AvroWriter, source: Buffer, start: number, end: number): void {
  out.ensure(end - start + 2);
  let target = out.bytes;
  let position = out.position;
  target[position++] = QUOTE;
  for (let at = start; at < end;) {
    const byte = source[at] as number;
    if (PLAIN[byte] === 1) {
      target[position++] = byte;
      at++;
    } else {
      out.position = position;
      at = appendSpecial(out, source, at, end);
      target = out.bytes;
      position = out.position;
    }
  }
  target[position++] = QUOTE;
  out.position = position;
}

/** Appends one character that is not plain ASCII, and makes room for the rest. @returns where the rest begins */
function appendSpecial(out: AvroWriter, source: Buffer, at: number, end: number): number {
  const byte = source[at] as number;
  const length = byte < 0x80 ? 1 : sequenceLength(source, at, end);
  if (byte === 0) out.appendNul();
  else if (length < 0) out.appendReplacement();
  else if (byte < 0x80) appendEscape(out, source, at);
  else for (let index = 0; index < length; index++) out.appendByte(source[at + index] as number);
  const next = at + Math.abs(length);
  out.ensure(end - next + 1);
  return next;
}

function appendEscape(out: AvroWriter, source: Buffer, at: number): void {
  const letter = ESCAPE_LETTERS[source[at] as number] as number;
  if (letter !== 0) {
    out.appendByte(BACKSLASH);
    out.appendByte(letter);
  } else {
    out.appendAscii("\\u00");
    appendHex(out, source, at, at + 1);
  }
}
