import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonDocument } from "./bson.ts";
import type { ComparedChild } from "./child-tables.ts";
import { differingColumns } from "./document-row.ts";
import { differingElement } from "./element-row.ts";
import { countElements, elementAt } from "./elements.ts";
import type { Texts } from "./fields.ts";

/**
 * Compares one document with its rows: its own, and those of its arrays' elements, in whatever order they come. It does not
 * keep the document, because a batch has many.
 */
export class RowsComparison {
  readonly #mapping: CollectionMapping;
  readonly #children: readonly ComparedChild[];
  /** For each of the children, how many elements have had no row yet. The primary key gives no element two. */
  readonly #open: number[];
  readonly #differing = new Set<string>();

  /** @param children all of the mapping's, as `comparedChildren` gives them */
  constructor(mapping: CollectionMapping, children: readonly ComparedChild[], document: BsonDocument) {
    this.#mapping = mapping;
    this.#children = children;
    this.#open = children.map(({ arrays }) => countElements(document, arrays));
  }

  /** @param row one text for each of `comparedColumns` */
  addRow(document: BsonDocument, row: Texts): void {
    for (const column of differingColumns(this.#mapping, document, row)) this.#differing.add(column);
  }

  /**
   * @param place of the child in `children`
   * @param row one text for each of `childColumns`
   */
  addElement(document: BsonDocument, place: number, row: Texts): void {
    const { label, mapping, arrays } = this.#children[place] as ComparedChild;
    const element = elementAt(document, arrays, row);
    if (element === undefined) {
      this.#differing.add(label);
      return;
    }
    this.#open[place] = (this.#open[place] ?? 0) - 1;
    for (const column of differingElement(mapping, element, row.slice(arrays.length)))
      this.#differing.add(`${label}.${column}`);
  }

  /**
   * What differs: `price` and `_extra` of the document's row, `items.price` and `items._extra` of an element's, and `items` if
   * an element has no row, or a row no element.
   */
  differing(): readonly string[] {
    const incomplete = this.#children.filter((_, place) => this.#open[place] !== 0).map(({ label }) => label);
    return [...new Set([...this.#differing, ...incomplete])];
  }
}
