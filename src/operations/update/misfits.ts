import { createDocumentWriter } from "../../schemas/encoding/document-writer.ts";
import type { DocumentWriter } from "../../schemas/encoding/document-writer.ts";
import { AvroWriter } from "../../schemas/formats/avro-writer.ts";
import { collectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";

/** Of the records, which are thrown away. */
const ORIGIN = { name: "init", database: "init", topic: "init" };

/** Counts the documents whose values do not fit their columns, by the rule that the producer has. */
export class MisfitCount {
  readonly #out = new AvroWriter();
  readonly #writer: DocumentWriter;
  readonly #byColumn = new Map<string, number>();

  constructor(mapping: CollectionMapping) {
    this.#writer = createDocumentWriter(collectionSchema(mapping, "mixed", ORIGIN), this.#out);
  }

  /** How many documents have a value that does not fit, by the column's name; those of children have the child's name before it. */
  get byColumn(): ReadonlyMap<string, number> {
    return this.#byColumn;
  }

  /** @throws HeadraceError DOCUMENT_UNENCODABLE */
  add(document: Buffer): void {
    try {
      for (const column of this.#writer.write(document)) {
        this.#byColumn.set(column, (this.#byColumn.get(column) ?? 0) + 1);
      }
    } finally {
      this.#out.reset();
    }
  }
}
