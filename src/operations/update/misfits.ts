import { ColumnsWriter } from "../../schemas/encoding/columns-writer.ts";
import { AvroWriter } from "../../schemas/formats/avro-writer.ts";
import { EXTRA_COLUMN } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";

/** Counts the documents whose values do not fit their columns, by the rule that the producer has. */
export class MisfitCount {
  readonly #out = new AvroWriter();
  readonly #writer: ColumnsWriter;
  readonly #byColumn = new Map<string, number>();

  constructor(mapping: CollectionMapping) {
    this.#writer = new ColumnsWriter({ mapping, registeredLongs: new Set() }, this.#out);
  }

  /** How many documents have a value that does not fit, by the column's name. */
  get byColumn(): ReadonlyMap<string, number> {
    return this.#byColumn;
  }

  /** @throws HeadraceError DOCUMENT_UNENCODABLE */
  add(document: Buffer): void {
    try {
      for (const column of this.#writer.write(document)) {
        if (column !== EXTRA_COLUMN) this.#byColumn.set(column, (this.#byColumn.get(column) ?? 0) + 1);
      }
    } finally {
      this.#out.reset();
    }
  }
}
