import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, cstringEnd, valueEnd } from "../formats/bson-reader.ts";
import { EXTRA_COLUMN } from "../mapping/column-names.ts";
import type { ChildMapping, ColumnMapping } from "../mapping/mapping.ts";
import type { ElementIndex } from "./element-index.ts";
import { countItems, fitOf, jsonbFit } from "./fit-column.ts";
import { NULL_BRANCH, VALUE_BRANCH } from "./fit.ts";
import { appendExtended } from "./json-extended.ts";
import { appendPlain } from "./json-plain.ts";
import { JsonWriter } from "./json-writer.ts";

/** Writes one element as a record. @param misfits as in `FieldsWriter.write` */
export type WriteElement = (bytes: Buffer, type: number, start: number, end: number, misfits: Set<string>) => void;

interface Output {
  readonly out: AvroWriter;
  readonly index: ElementIndex;
}

/** Writes an array of the document as an array of records, one for each element. */
export class ChildWriter {
  readonly #out: AvroWriter;
  readonly #writeElement: WriteElement;

  constructor(out: AvroWriter, writeElement: WriteElement) {
    this.#out = out;
    this.#writeElement = writeElement;
  }

  /** @param start of the array in `bytes` */
  write(bytes: Buffer, start: number, end: number, misfits: Set<string>): void {
    const last = end - 1;
    const count = countItems(bytes, start, last);
    if (count > 0) this.#out.writeInt(count);
    for (let at = start + 4; at < last;) {
      const type = bytes[at] as number;
      const itemStart = cstringEnd(bytes, at + 1, last);
      at = valueEnd(bytes, type, itemStart, last);
      this.#writeElement(bytes, type, itemStart, at, misfits);
    }
    this.#out.writeInt(0);
  }
}

/**
 * Elements that are documents. Another element is in `_extra`, as it is.
 * @param writeFields writes a document's fields
 * @param prefix of the names of misfits: `items.`
 */
export function documentElement(
  { columns, children }: ChildMapping,
  { out, index }: Output,
  { writeFields, prefix }: { readonly writeFields: WriteFields; readonly prefix: string },
): WriteElement {
  const extended = new JsonWriter(out, index, appendExtended);
  return (bytes, type, start, end, misfits) => {
    if (type === BsonType.document) return writeFields(bytes, start, end, misfits);
    if (type !== BsonType.null) misfits.add(prefix + EXTRA_COLUMN);
    for (let column = 0; column < columns.length; column++) out.appendByte(NULL_BRANCH);
    appendWhole(out, extended, { bytes, type, start, end });
    for (let inner = 0; inner < children.length; inner++) out.appendByte(NULL_BRANCH);
  };
}

type WriteFields = (bytes: Buffer, start: number, end: number, misfits: Set<string>) => void;

/** Elements of one type. One that does not fit it is in `_extra`, as it is. @param prefix as in `documentElement` */
export function valueElement(column: ColumnMapping, { out, index }: Output, prefix: string): WriteElement {
  const extended = new JsonWriter(out, index, appendExtended);
  const jsonb = jsonbFit(out, new JsonWriter(out, index, appendPlain));
  const fit = fitOf(column.type, out, { jsonb, isLong: false });
  return (bytes, type, start, end, misfits) => {
    const before = out.position;
    const changes = out.replaced + index.dropped;
    if (type !== BsonType.null) {
      out.appendByte(VALUE_BRANCH);
      if (fit(bytes, type, start, end)) {
        if (out.replaced + index.dropped > changes) misfits.add(prefix + column.name);
        return out.appendByte(NULL_BRANCH);
      }
      out.position = before;
      misfits.add(prefix + column.name);
    }
    out.appendByte(NULL_BRANCH);
    if (type === BsonType.null) out.appendByte(NULL_BRANCH);
    else appendWhole(out, extended, { bytes, type, start, end });
  };
}

interface Element {
  readonly bytes: Buffer;
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

function appendWhole(out: AvroWriter, extended: JsonWriter, { bytes, type, start, end }: Element): void {
  out.appendByte(VALUE_BRANCH);
  const text = out.beginText();
  extended.appendValue(bytes, type, start, end, 1);
  out.endText(text);
}
