import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType } from "../formats/bson-reader.ts";
import { EXTRA_COLUMN } from "../mapping/column-names.ts";
import type { ChildMapping } from "../mapping/mapping.ts";
import { ChildWriter, documentElement, valueElement } from "./child-writer.ts";
import type { ElementIndex } from "./element-index.ts";
import { fitOf, jsonbFit } from "./fit-column.ts";
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

/** What holds a field of the document: a column, or a child. */
interface Holder {
  readonly name: string;
  readonly node: PathNode;
  /** The nodes on the path above `node`. */
  readonly ancestors: readonly PathNode[];
}

interface Column extends Holder {
  readonly fit: Fit;
}

interface Child extends Holder {
  readonly writer: ChildWriter;
}

/** The output, and what its writers share. */
export interface WriterContext {
  readonly out: AvroWriter;
  readonly index: ElementIndex;
  /** The document's columns that are registered with longs: their dates stay in ms. */
  readonly registeredLongs: ReadonlySet<string>;
}

interface FieldsWriterOptions {
  /** A field that has a place of its own: `_id`. */
  readonly apart?: string;
  /** Before the names of misfits: the children in which they are, each with a dot. */
  readonly prefix: string;
}

/**
 * Writes the fields of a document, or of an element of an array: the declared columns, `_extra` with everything that they
 * do not hold, and the children. If a value does not fit its column, the column is null and the value is in `_extra`.
 */
export class FieldsWriter {
  readonly #out: AvroWriter;
  readonly #index: ElementIndex;
  /** For jsonb columns. */
  readonly #plain: JsonWriter;
  /** For `_extra`. */
  readonly #extended: JsonWriter;
  readonly #tree = new PathTree();
  readonly #apart: PathNode | undefined;
  readonly #prefix: string;
  readonly #columns: readonly Column[];
  readonly #children: readonly Child[];

  constructor(
    { columns, children }: Pick<ChildMapping, "columns" | "children">,
    context: WriterContext,
    { apart, prefix }: FieldsWriterOptions,
  ) {
    const { out, index, registeredLongs } = context;
    this.#out = out;
    this.#index = index;
    this.#plain = new JsonWriter(out, index, appendPlain);
    this.#extended = new JsonWriter(out, index, appendExtended);
    this.#prefix = prefix;
    this.#apart = apart === undefined ? undefined : this.#tree.add([apart]);
    const jsonb = jsonbFit(out, this.#plain);
    this.#columns = columns.map(({ name, type, path }) => ({
      ...this.#holder(prefix + name, path),
      fit: fitOf(type, out, { jsonb, isLong: registeredLongs.has(name) }),
    }));
    this.#children = children.map((child) => ({
      ...this.#holder(prefix + child.name, child.path),
      writer: childWriter(child, context, `${prefix}${child.name}.`),
    }));
  }

  /**
   * @param start of the document in `bytes`
   * @param misfits gets the names of columns and children that do not hold the document's value unchanged
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  write(bytes: Buffer, start: number, end: number, misfits: Set<string>): void {
    const base = this.#index.top;
    const changes = this.#changes();
    this.#tree.locate(bytes, start, end, this.#index);
    const isUnique = this.#changes() === changes;
    if (this.#apart !== undefined) this.#apart.isHeld = true;
    for (const column of this.#columns) if (!this.#writeColumn(bytes, column)) misfits.add(column.name);
    for (const child of this.#children) if (!this.#holdChild(bytes, child)) misfits.add(child.name);
    const changesBefore = this.#changes();
    this.#writeExtra(bytes);
    if (!isUnique || this.#changes() > changesBefore) misfits.add(this.#prefix + EXTRA_COLUMN);
    for (const child of this.#children) this.#writeChild(bytes, child, misfits);
    this.#index.pop(base);
  }

  #holder(name: string, path: readonly string[]): Holder {
    return {
      name,
      node: this.#tree.add(path),
      ancestors: path.slice(0, -1).map((_step, depth) => this.#tree.add(path.slice(0, depth + 1))),
    };
  }

  /** @returns false if the column does not hold the document's value unchanged */
  #writeColumn(bytes: Buffer, { fit, node, ancestors }: Column): boolean {
    const out = this.#out;
    if (!node.isPresent) {
      out.appendByte(NULL_BRANCH);
      return !this.#isBlocked(bytes, ancestors);
    }
    const bsonType = this.#typeOf(bytes, node);
    if (bsonType === BsonType.null) {
      out.appendByte(NULL_BRANCH);
      node.isHeld = true;
      return true;
    }
    const before = out.position;
    const changes = this.#changes();
    out.appendByte(VALUE_BRANCH);
    const { element } = node;
    node.isHeld = fit(bytes, bsonType, this.#index.valueStart(element), this.#index.valueEnd(element));
    if (node.isHeld) return this.#changes() === changes;
    out.position = before;
    out.appendByte(NULL_BRANCH);
    return false;
  }

  /** Finds out whether the child holds its field: then `_extra` does not. @returns false if it does not fit */
  #holdChild(bytes: Buffer, { node, ancestors }: Child): boolean {
    if (!node.isPresent) return !this.#isBlocked(bytes, ancestors);
    const bsonType = this.#typeOf(bytes, node);
    node.isHeld = bsonType === BsonType.array || bsonType === BsonType.null;
    return node.isHeld;
  }

  #writeChild(bytes: Buffer, { node, writer }: Child, misfits: Set<string>): void {
    if (!node.isHeld || this.#typeOf(bytes, node) === BsonType.null) return this.#out.appendByte(NULL_BRANCH);
    this.#out.appendByte(VALUE_BRANCH);
    writer.write(bytes, this.#index.valueStart(node.element), this.#index.valueEnd(node.element), misfits);
  }

  #typeOf(bytes: Buffer, { element }: PathNode): number {
    return bytes[this.#index.nameStart(element) - 1] as number;
  }

  /** Whether a path leads through a value that is not a document. */
  #isBlocked(bytes: Buffer, ancestors: readonly PathNode[]): boolean {
    return ancestors.some((node) => node.isPresent && !node.isOpen && this.#typeOf(bytes, node) !== BsonType.null);
  }

  #writeExtra(bytes: Buffer): void {
    const out = this.#out;
    const before = out.position;
    out.appendByte(VALUE_BRANCH);
    const text = out.beginText();
    if (this.#appendRest(bytes, this.#tree.root, 1)) {
      out.endText(text);
    } else {
      out.position = before;
      out.appendByte(NULL_BRANCH);
    }
  }

  /** Appends the fields of an open document that nothing holds. @returns whether there are any */
  #appendRest(bytes: Buffer, node: PathNode, level: number): boolean {
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
        if (this.#appendOpen(bytes, owner, level)) isEmpty = false;
        else out.position = before;
      } else {
        this.#extended.appendElement(bytes, element, level);
        isEmpty = false;
      }
    }
    out.appendByte(CLOSING_BRACE);
    return !isEmpty;
  }

  /** Appends a sub-document that paths lead into, unless columns hold all of it. @returns whether it was appended */
  #appendOpen(bytes: Buffer, node: PathNode, level: number): boolean {
    const name = this.#index.nameStart(node.element);
    appendJsonString(this.#out, bytes, name, this.#index.valueStart(node.element) - 1);
    this.#out.appendByte(COLON);
    return this.#appendRest(bytes, node, level + 1) || node.firstElement === node.endElement;
  }

  #changes(): number {
    return this.#out.replaced + this.#index.dropped;
  }
}

const NO_LONGS: ReadonlySet<string> = new Set();

/** @param prefix of the names of misfits in the elements */
function childWriter(child: ChildMapping, context: WriterContext, prefix: string): ChildWriter {
  const { out } = context;
  const [value] = child.columns;
  if (child.elements === "values" && value !== undefined)
    return new ChildWriter(out, valueElement(value, context, prefix));
  const fields = new FieldsWriter(child, { ...context, registeredLongs: NO_LONGS }, { prefix });
  const writeFields = fields.write.bind(fields);
  return new ChildWriter(out, documentElement(child, context, { writeFields, prefix }));
}
