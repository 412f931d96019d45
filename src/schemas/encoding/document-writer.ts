import type { AvroWriter } from "../formats/avro-writer.ts";
import { documentEnd } from "../formats/bson-reader.ts";
import type { CollectionSchema } from "../mapping/collection-schema.ts";
import { DOC_COLUMN } from "../mapping/column-names.ts";
import { ElementIndex } from "./element-index.ts";
import { FieldsWriter } from "./fields-writer.ts";
import { VALUE_BRANCH } from "./fit.ts";
import { appendPlain } from "./json-plain.ts";
import { JsonWriter } from "./json-writer.ts";

/** Writes a document as the fields of `Value` after `_id`. */
export interface DocumentWriter {
  /**
   * @returns the columns and children that do not hold the document's value unchanged; inside children as `items.price`
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  write(document: Buffer): readonly string[];
}

/** Makes the writer of a collection's documents for one output. */
export function createDocumentWriter(schema: CollectionSchema, out: AvroWriter): DocumentWriter {
  return schema.mapping.mode === "document" ? new WholeDocumentWriter(out) : new ColumnsWriter(schema, out);
}

/** Columns mode: writes the declared columns, `_extra` and the children. */
class ColumnsWriter implements DocumentWriter {
  readonly #index = new ElementIndex();
  readonly #fields: FieldsWriter;

  constructor({ mapping, registeredLongs }: CollectionSchema, out: AvroWriter) {
    this.#fields = new FieldsWriter(
      mapping,
      { out, index: this.#index, registeredLongs },
      { apart: "_id", prefix: "" },
    );
  }

  write(document: Buffer): readonly string[] {
    this.#index.reset();
    const misfits = new Set<string>();
    this.#fields.write(document, 0, documentEnd(document, 0, document.length), misfits);
    return [...misfits];
  }
}

/** Document mode: writes the whole document to `doc`. */
class WholeDocumentWriter implements DocumentWriter {
  readonly #out: AvroWriter;
  readonly #index = new ElementIndex();
  readonly #json: JsonWriter;

  constructor(out: AvroWriter) {
    this.#out = out;
    this.#json = new JsonWriter(out, this.#index, appendPlain);
  }

  write(document: Buffer): readonly string[] {
    this.#index.reset();
    const end = documentEnd(document, 0, document.length);
    const changes = this.#out.replaced + this.#index.dropped;
    this.#out.appendByte(VALUE_BRANCH);
    const text = this.#out.beginText();
    this.#json.appendDocument(document, 0, end, 1);
    this.#out.endText(text);
    return this.#out.replaced + this.#index.dropped > changes ? [DOC_COLUMN] : [];
  }
}
