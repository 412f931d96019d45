import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, documentEnd } from "../formats/bson-reader.ts";
import { type CollectionSchema, EXTRA_COLUMN } from "../mapping/collection-schema.ts";
import { ElementIndex } from "./element-index.ts";
import { fitOf } from "./fit-column.ts";
import { type Fit, NULL_BRANCH, VALUE_BRANCH } from "./fit.ts";
import { appendExtended } from "./json-extended.ts";
import { appendPlain } from "./json-plain.ts";
import { appendJsonString } from "./json-string.ts";
import { JsonWriter } from "./json-writer.ts";
import { type PathNode, PathTree } from "./path-tree.ts";

const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

interface Column {
  readonly name: string;
  readonly fit: Fit;
  readonly node: PathNode;
  /** The nodes on the path above `node`. */
  readonly ancestors: readonly PathNode[];
}

/**
 * Columns mode: writes the declared columns, then `_extra` with the rest of the document. If a value does not fit its
 * column, the column is null and the value is in `_extra`.
 */
export class ColumnsWriter {
  readonly #out: AvroWriter;
  readonly #index = new ElementIndex();
  /** For jsonb columns. */
  readonly #plain: JsonWriter;
  /** For `_extra`. */
  readonly #extended: JsonWriter;
  readonly #tree = new PathTree();
  readonly #id: PathNode;
  readonly #columns: readonly Column[];

  constructor({ mapping, registeredLongs }: Pick<CollectionSchema, "mapping" | "registeredLongs">, out: AvroWriter) {
    this.#out = out;
    this.#plain = new JsonWriter(out, this.#index, appendPlain);
    this.#extended = new JsonWriter(out, this.#index, appendExtended);
    this.#id = this.#tree.add(["_id"]);
    const fitJsonb = this.#jsonbFit();
    this.#columns = mapping.columns.map(({ name, type, path }) => ({
      name,
      fit: fitOf(type, out, { jsonb: fitJsonb, isLong: registeredLongs.has(name) }),
      node: this.#tree.add(path),
      ancestors: path.slice(0, -1).map((_step, depth) => this.#tree.add(path.slice(0, depth + 1))),
    }));
  }

  /**
   * @returns the columns that do not hold the document's value unchanged
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  write(document: Buffer): readonly string[] {
    this.#index.reset();
    const misfits: string[] = [];
    const end = documentEnd(document, 0, document.length);
    const changes = this.#changes();
    this.#tree.locate(document, end, this.#index);
    const isUnique = this.#changes() === changes;
    this.#id.isHeld = true;
    for (const column of this.#columns) if (!this.#writeColumn(document, column)) misfits.push(column.name);
    const changesBefore = this.#changes();
    this.#writeExtra(document);
    if (!isUnique || this.#changes() > changesBefore) misfits.push(EXTRA_COLUMN);
    return misfits;
  }

  /** @returns false if the column does not hold the document's value unchanged */
  #writeColumn(document: Buffer, { fit, node, ancestors }: Column): boolean {
    const out = this.#out;
    if (!node.isPresent) {
      out.appendByte(NULL_BRANCH);
      return ancestors.length === 0 || !this.#isBlocked(document, ancestors);
    }
    const bsonType = document[this.#index.nameStart(node.element) - 1] as number;
    if (bsonType === BsonType.null) {
      out.appendByte(NULL_BRANCH);
      node.isHeld = true;
      return true;
    }
    const before = out.position;
    const changes = this.#changes();
    out.appendByte(VALUE_BRANCH);
    const { element } = node;
    node.isHeld = fit(document, bsonType, this.#index.valueStart(element), this.#index.valueEnd(element));
    if (node.isHeld) return this.#changes() === changes;
    out.position = before;
    out.appendByte(NULL_BRANCH);
    return false;
  }

  /** Whether the column's path leads through a value that is not a document. */
  #isBlocked(document: Buffer, ancestors: readonly PathNode[]): boolean {
    return ancestors.some(
      ({ isPresent, isOpen, element }) =>
        isPresent && !isOpen && document[this.#index.nameStart(element) - 1] !== BsonType.null,
    );
  }

  #writeExtra(document: Buffer): void {
    const out = this.#out;
    const before = out.position;
    out.appendByte(VALUE_BRANCH);
    const text = out.beginText();
    if (this.#appendRest(document, this.#tree.root, 1)) {
      out.endText(text);
    } else {
      out.position = before;
      out.appendByte(NULL_BRANCH);
    }
  }

  /** Appends the fields of an open document that no column holds. @returns whether there are any */
  #appendRest(document: Buffer, node: PathNode, level: number): boolean {
    const out = this.#out;
    const index = this.#index;
    let isEmpty = true;
    out.appendByte(OPENING_BRACE);
    for (let element = node.firstElement; element < node.endElement; element = index.next(element)) {
      if (index.isDropped(element)) continue;
      const owner = this.#tree.nodeOf(index.owner(element));
      if (owner.isHeld) continue;
      const before = out.position;
      if (!isEmpty) out.appendByte(COMMA);
      if (owner !== this.#tree.root && owner.isOpen) {
        if (this.#appendOpen(document, owner, level)) isEmpty = false;
        else out.position = before;
      } else {
        this.#extended.appendElement(document, element, level);
        isEmpty = false;
      }
    }
    out.appendByte(CLOSING_BRACE);
    return !isEmpty;
  }

  /** Appends a sub-document that paths lead into, unless columns hold all of it. @returns whether it was appended */
  #appendOpen(document: Buffer, node: PathNode, level: number): boolean {
    const name = this.#index.nameStart(node.element);
    appendJsonString(this.#out, document, name, this.#index.valueStart(node.element) - 1);
    this.#out.appendByte(COLON);
    return this.#appendRest(document, node, level + 1) || node.firstElement === node.endElement;
  }

  #changes(): number {
    return this.#out.replaced + this.#index.dropped;
  }

  /** Any value fits a jsonb column. */
  #jsonbFit(): Fit {
    const out = this.#out;
    return (bytes, type, start, end) => {
      const text = out.beginText();
      this.#plain.appendValue(bytes, type, start, end, 1);
      out.endText(text);
      return true;
    };
  }
}
