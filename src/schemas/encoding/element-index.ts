import { randomInt } from "node:crypto";
import { malformed, valueEnd } from "../formats/bson-reader.ts";

// An element has five integers: the offset of its name, the start and the end of its value (end 0: a later element has
// the same name), the hash of its name, and its owner (0: none).
const NAME = 0;
const START = 1;
const END = 2;
const HASH = 3;
const OWNER = 4;
const STRIDE = 5;

/** Differs in each process, so that nobody can craft a document whose names all have the same hash. */
const HASH_BASIS = randomInt(0x7fffffff);
const FNV_PRIME = 0x01000193;

const INITIAL_ELEMENTS = 256;

/**
 * The elements of nested BSON documents, as a stack. `push` a document, walk from the returned element to `top` with
 * `next`, then `pop` the document. If several elements have the same name, the last one counts.
 */
export class ElementIndex {
  top = 0;
  /** How many duplicates were found since the index was made. */
  dropped = 0;
  #elements = new Int32Array(INITIAL_ELEMENTS * STRIDE);
  #table = new Int32Array(INITIAL_ELEMENTS);

  /**
   * @param end from `documentEnd`
   * @returns the first element
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  push(bytes: Buffer, start: number, end: number): number {
    const base = this.top;
    const last = end - 1;
    for (let at = start + 4; at < last;) {
      if (this.top + STRIDE > this.#elements.length) this.#grow();
      const elements = this.#elements;
      const element = this.top;
      const name = at + 1;
      let hash = HASH_BASIS;
      let nameEnd = name;
      for (let byte = bytes[nameEnd] as number; byte !== 0; byte = bytes[++nameEnd] as number) {
        hash = Math.imul(hash ^ byte, FNV_PRIME);
      }
      if (nameEnd >= last) throw malformed("a name does not end with a zero");
      at = valueEnd(bytes, bytes[at] as number, nameEnd + 1, last);
      elements[element + NAME] = name;
      elements[element + START] = nameEnd + 1;
      elements[element + END] = at;
      elements[element + HASH] = hash;
      elements[element + OWNER] = 0;
      this.top = element + STRIDE;
    }
    if (this.top - base > STRIDE) this.#dropDuplicates(bytes, base);
    return base;
  }

  pop(base: number): void {
    this.top = base;
  }

  next(element: number): number {
    return element + STRIDE;
  }

  isDropped(element: number): boolean {
    return this.#elements[element + END] === 0;
  }

  nameStart(element: number): number {
    return this.#elements[element + NAME] as number;
  }

  nameEnd(element: number): number {
    return this.valueStart(element) - 1;
  }

  valueStart(element: number): number {
    return this.#elements[element + START] as number;
  }

  valueEnd(element: number): number {
    return this.#elements[element + END] as number;
  }

  hash(element: number): number {
    return this.#elements[element + HASH] as number;
  }

  owner(element: number): number {
    return this.#elements[element + OWNER] as number;
  }

  setOwner(element: number, owner: number): void {
    this.#elements[element + OWNER] = owner;
  }

  /** Empties the index. Releases the memory if a huge document made it large. */
  reset(): void {
    this.top = 0;
    if (this.#elements.length <= INITIAL_ELEMENTS * STRIDE * 16) return;
    this.#elements = new Int32Array(INITIAL_ELEMENTS * STRIDE);
    this.#table = new Int32Array(INITIAL_ELEMENTS);
  }

  #grow(): void {
    const larger = new Int32Array(this.#elements.length * 2);
    larger.set(this.#elements);
    this.#elements = larger;
  }

  /** Uses an open hash table of the elements from `base` on. A slot contains an element + 1, or 0. */
  #dropDuplicates(bytes: Buffer, base: number): void {
    const bits = 33 - Math.clz32((this.top - base) / STRIDE);
    const mask = (1 << bits) - 1;
    if (mask >= this.#table.length) this.#table = new Int32Array(mask + 1);
    else this.#table.fill(0, 0, mask + 1);
    const table = this.#table;
    const elements = this.#elements;
    for (let element = base; element < this.top; element += STRIDE) {
      const hash = elements[element + HASH] as number;
      let slot = hash >>> (32 - bits);
      for (let other = table[slot] as number; other !== 0; other = table[slot] as number) {
        if (elements[other - 1 + HASH] === hash && this.#sameName(bytes, other - 1, element)) {
          elements[other - 1 + END] = 0;
          this.dropped++;
          break;
        }
        slot = (slot + 1) & mask;
      }
      table[slot] = element + 1;
    }
  }

  #sameName(bytes: Buffer, left: number, right: number): boolean {
    let leftAt = this.nameStart(left);
    let rightAt = this.nameStart(right);
    while (bytes[leftAt] !== 0 && bytes[leftAt] === bytes[rightAt]) {
      leftAt++;
      rightAt++;
    }
    return bytes[leftAt] === bytes[rightAt];
  }
}

/** Hashes a name in the same way as the index does. */
export function hashName(name: Buffer): number {
  let hash = HASH_BASIS;
  for (const byte of name) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash;
}
