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

/** MongoDB allows 180. More levels could overflow the stack here or in PostgreSQL. */
const MOST_LEVELS = 200;

/** Appends a value that contains no document or array: `appendPlain` or `appendExtended`. */
export type AppendScalar = (out: AvroWriter, bytes: Buffer, type: number, start: number, end: number) => void;

/** Writes BSON as JSON text, in the form that `appendScalar` gives to scalars. */
export class JsonWriter {
  readonly #out: AvroWriter;
  readonly #index: ElementIndex;
  readonly #appendScalar: AppendScalar;
  /** Writes Extended JSON to the same output. */
  readonly #extended: JsonWriter;

  constructor(out: AvroWriter, index: ElementIndex, appendScalar: AppendScalar) {
    this.#out = out;
    this.#index = index;
    this.#appendScalar = appendScalar;
    this.#extended = appendScalar === appendExtended ? this : new JsonWriter(out, index, appendExtended);
  }

  /**
   * @param level the number of documents and arrays around the value
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  appendValue(bytes: Buffer, type: number, start: number, end: number, level: number): void {
    switch (type) {
      case BsonType.document:
        return this.appendDocument(bytes, start, end, level + 1);
      case BsonType.array:
        return this.#appendArray(bytes, start, end, level + 1);
      case BsonType.codeWithScope:
        return this.#appendCodeWithScope(bytes, start, end, level + 1);
      default:
        return this.#appendScalar(this.#out, bytes, type, start, end);
    }
  }

  appendDocument(bytes: Buffer, start: number, end: number, level: number): void {
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
      this.appendElement(bytes, element, level);
    }
    index.pop(base);
    out.appendByte(CLOSING_BRACE);
  }

  /** `"name":value` */
  appendElement(bytes: Buffer, element: number, level: number): void {
    const index = this.#index;
    const name = index.nameStart(element);
    const start = index.valueStart(element);
    appendJsonString(this.#out, bytes, name, start - 1);
    this.#out.appendByte(COLON);
    this.appendValue(bytes, bytes[name - 1] as number, start, index.valueEnd(element), level);
  }

  #appendArray(bytes: Buffer, start: number, end: number, level: number): void {
    checkLevel(level);
    const out = this.#out;
    const last = end - 1;
    out.appendByte(OPENING_BRACKET);
    for (let at = start + 4; at < last;) {
      if (at > start + 4) out.appendByte(COMMA);
      const type = bytes[at] as number;
      const itemStart = cstringEnd(bytes, at + 1, last);
      at = valueEnd(bytes, type, itemStart, last);
      this.appendValue(bytes, type, itemStart, at, level);
    }
    out.appendByte(CLOSING_BRACKET);
  }

  /** Extended JSON, because plain JSON has no form for code with scope. */
  #appendCodeWithScope(bytes: Buffer, start: number, end: number, level: number): void {
    const scope = stringEnd(bytes, start + 4, end);
    this.#out.appendAscii('{"$code":');
    appendJsonString(this.#out, bytes, start + 8, scope - 1);
    this.#out.appendAscii(',"$scope":');
    this.#extended.appendDocument(bytes, scope, end, level);
    this.#out.appendByte(CLOSING_BRACE);
  }
}

function checkLevel(level: number): void {
  if (level <= MOST_LEVELS) return;
  throw new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: `The document is nested more than ${MOST_LEVELS} levels deep.`,
    remedy: "Make the document flatter, or leave its collection out of the pipeline.",
  });
}
