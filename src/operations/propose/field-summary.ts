import { BsonType } from "../../schemas/formats/bson-reader.ts";
import { familyOf, kindOf, visitElements } from "./bson-kinds.ts";
import type { Family, Kind } from "./bson-kinds.ts";
import { isoTypeOf, LONGEST_ISO_BYTES } from "./iso-dates.ts";
import type { IsoType } from "./iso-dates.ts";
import { isMapLike } from "./maps.ts";

/** How many names of sub-documents a path of a column can have. */
const DEEPEST_PATH = 3;
/** How many levels of child tables there are at most below a table. */
const DEEPEST_CHILD = 2;
/** A sub-document with more names than this counts as a map. */
const MOST_NAMES = 40;
/** How many fields of the documents of a table are looked at. A table has far fewer columns. */
const MOST_FIELDS = 2_000;
/** How many fields are remembered of one collection, so that no document can fill the memory. */
const MOST_SUMMARIES = 50_000;

/** Where a value stands: how many names deep below its table, and how many tables below the collection's. */
interface Place {
  readonly depth: number;
  readonly level: number;
}

interface Budget {
  left: number;
}

/** The documents of a collection, or the items of an array that are documents. */
export class DocumentSummary {
  /** How many there are: the rows of the table. */
  documents = 0;
  readonly #fields = new Map<string, FieldSummary>();
  readonly #place: Place;
  readonly #budget: Budget;
  /** Fields of all documents together. */
  #found = 0;
  /** Whether there were more names than are remembered. */
  #isCut = false;

  /** @param level how many tables there are above */
  constructor(level = 0, budget: Budget = { left: MOST_SUMMARIES }, depth = 1) {
    this.#place = { depth, level };
    this.#budget = budget;
  }

  get fields(): ReadonlyMap<string, FieldSummary> {
    return this.#fields;
  }

  /** Whether fields were found that are not in `fields`. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Whether the names of the fields are data: see `isMapLike`. */
  get isMap(): boolean {
    const most = this.#place.depth === 1 ? MOST_FIELDS : MOST_NAMES;
    const names = [...this.#fields.keys()];
    return isMapLike({ names, fields: this.#found, documents: this.documents, most });
  }

  /**
   * Adds the document in `bytes` from `start`.
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  add(bytes: Buffer, start = 0): void {
    this.documents++;
    visitElements(bytes, start, (type, valueStart, valueEnd, name) => {
      this.#found++;
      this.#field(name())?.add(bytes, type, valueStart, valueEnd);
    });
  }

  #field(name: string): FieldSummary | undefined {
    const known = this.#fields.get(name);
    if (known !== undefined) return known;
    const most = this.#place.depth === 1 ? MOST_FIELDS : MOST_NAMES + 1;
    if (this.#fields.size >= most || this.#budget.left <= 0) {
      this.#isCut = true;
      return undefined;
    }
    this.#budget.left--;
    const field = new FieldSummary(this.#place, this.#budget);
    this.#fields.set(name, field);
    return field;
  }
}

/** The values at one path. */
export class FieldSummary {
  /** How many values there are of each kind, also null. */
  readonly kinds = new Map<Kind, number>();
  /** The kinds of the arrays' items. */
  readonly itemKinds = new Map<Kind, number>();
  /** How many arrays have only items of one family, by the family; null: of several. */
  readonly arrays = new Map<Family | null, number>();
  /** Arrays without an item, or with nulls only. */
  emptyArrays = 0;
  /** How many texts are dates in ISO 8601, by the type that a coercion would give them. */
  readonly isoTexts = new Map<IsoType, number>();
  /** The values that are documents; null if they are too deep to be looked at. */
  readonly object: DocumentSummary | null;
  readonly #place: Place;
  readonly #budget: Budget;
  #items: DocumentSummary | null = null;

  constructor(place: Place, budget: Budget) {
    this.#place = place;
    this.#budget = budget;
    this.object = place.depth < DEEPEST_PATH ? new DocumentSummary(place.level, budget, place.depth + 1) : null;
  }

  /** The arrays' items that are documents; null if there are none, or if they are too deep to be looked at. */
  get items(): DocumentSummary | null {
    return this.#items;
  }

  add(bytes: Buffer, type: number, start: number, end: number): void {
    const kind = kindOf(bytes, type, start, end);
    count(this.kinds, kind);
    if (type === BsonType.document) this.object?.add(bytes, start);
    else if (type === BsonType.array) this.#addArray(bytes, start);
    else if (type === BsonType.string && end - start - 5 <= LONGEST_ISO_BYTES) {
      const iso = isoTypeOf(bytes.toString("utf8", start + 4, end - 1));
      if (iso !== null) count(this.isoTexts, iso);
    }
  }

  #addArray(bytes: Buffer, start: number): void {
    const families = new Set<Family>();
    visitElements(bytes, start, (type, itemStart, itemEnd) => {
      const kind = kindOf(bytes, type, itemStart, itemEnd);
      count(this.itemKinds, kind);
      if (kind !== "null") families.add(familyOf(kind));
      if (type === BsonType.document) this.#itemSummary()?.add(bytes, itemStart);
    });
    const [family = null] = families;
    if (families.size === 0) this.emptyArrays++;
    else count(this.arrays, families.size === 1 ? family : null);
  }

  #itemSummary(): DocumentSummary | null {
    const level = this.#place.level + 1;
    if (this.#items === null && level <= DEEPEST_CHILD) this.#items = new DocumentSummary(level, this.#budget);
    return this.#items;
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
