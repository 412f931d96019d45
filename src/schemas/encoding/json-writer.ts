import { HeadraceError } from "../../errors/error.ts";
import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, cstringEnd, stringEnd, valueEnd } from "../formats/bson-reader.ts";
import type { ElementIndex } from "./element-index.ts";
import { appendExtended } from "./json-extended.ts";
import { appendJsonString } from "./json-string.ts";

const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** MongoDB allows 180; beyond this the stack, and PostgreSQL's, would be at risk. */
const MOST_LEVELS = 200;

/** Appends a value that holds no document or array: `appendPlain` or `appendExtended`. */
export type AppendScalar = (out: AvroWriter, bytes: Buffer, type: number, start: number, end: number) => void;

/** BSON as JSON text; of which kind is the scalars' business. */
export class JsonWriter {
  readonly #out: AvroWriter;
  readonly #index: ElementIndex;

  constructor(out: AvroWriter, index: ElementIndex) {
    this.#out = out;
    this.#index = index;
  }

  /**
   * @param level how many documents or arrays are around the value
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  appendValue(
    bytes: Buffer,
    type: number,
    start: number,
    end: number,
    level: number,
    appendScalar: AppendScalar,
  ): void {
    switch (type) {
      case BsonType.document:
        return this.appendDocument(bytes, start, end, level + 1, appendScalar);
      case BsonType.array:
        return this.#appendArray(bytes, start, end, level + 1, appendScalar);
      case BsonType.codeWithScope:
        return this.#appendCodeWithScope(bytes, start, end, level + 1);
      default:
        return appendScalar(this.#out, bytes, type, start, end);
    }
  }

  appendDocument(bytes: Buffer, start: number, end: number, level: number, appendScalar: AppendScalar): void {
    checkLevel(level);
    const out = this.#out;
    const index = this.#index;
    out.appendByte(OPENING_BRACE);
    const base = index.push(bytes, start, end);
    const top = index.top;
    let isFirst = true;
    for (let element = base; element < top; element = index.next(element)) {
      if (index.isDropped(element)) continue;
      if (!isFirst) out.appendByte(COMMA);
      isFirst = false;
      this.appendElement(bytes, element, level, appendScalar);
    }
    index.pop(base);
    out.appendByte(CLOSING_BRACE);
  }

  /** `"name":value` */
  appendElement(bytes: Buffer, element: number, level: number, appendScalar: AppendScalar): void {
    const index = this.#index;
    const name = index.nameStart(element);
    const start = index.valueStart(element);
    appendJsonString(this.#out, bytes, name, start - 1);
    this.#out.appendByte(COLON);
    this.appendValue(bytes, bytes[name - 1] as number, start, index.valueEnd(element), level, appendScalar);
  }

  #appendArray(bytes: Buffer, start: number, end: number, level: number, appendScalar: AppendScalar): void {
    checkLevel(level);
    const out = this.#out;
    const last = end - 1;
    out.appendByte(OPENING_BRACKET);
    for (let at = start + 4; at < last;) {
      if (at > start + 4) out.appendByte(COMMA);
      const type = bytes[at] as number;
      const itemStart = cstringEnd(bytes, at + 1, last);
      at = valueEnd(bytes, type, itemStart, last);
      this.appendValue(bytes, type, itemStart, at, level, appendScalar);
    }
    out.appendByte(CLOSING_BRACKET);
  }

  /** Extended JSON in both kinds; plain JSON has no form of its own for it. */
  #appendCodeWithScope(bytes: Buffer, start: number, end: number, level: number): void {
    const scope = stringEnd(bytes, start + 4, end);
    this.#out.appendAscii('{"$code":');
    appendJsonString(this.#out, bytes, start + 8, scope - 1);
    this.#out.appendAscii(',"$scope":');
    this.appendDocument(bytes, scope, end, level, appendExtended);
    this.#out.appendByte(CLOSING_BRACE);
  }
}

function checkLevel(level: number): void {
  if (level <= MOST_LEVELS) return;
  throw new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: `The document is nested more than ${MOST_LEVELS} levels deep.`,
    remedy: "Make the document flatter, or leave its collection out.",
  });
}
