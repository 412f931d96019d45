import { BsonType, cstringEnd, documentEnd, valueEnd } from "../formats/bson-reader.ts";
import type { Redaction, RedactionAction } from "../mapping/mapping.ts";
import { hashOf } from "./hash.ts";

/** One step of the paths. */
interface Step {
  readonly steps: Map<string, Step>;
  action: RedactionAction | undefined;
}

const LENGTH_BYTES = 4;
/** A hash as a BSON string: its length, 64 hex digits and a zero. */
const HASH_VALUE_BYTES = 4 + 64 + 1;

/**
 * Takes values out of documents, before anything else sees these. A path leads through arrays: `emails.address` is the
 * address in the document `emails`, or in each element of the array `emails`. A hash of a document or array is one of each
 * value in it.
 */
export class Redactor {
  readonly #root: Step = newStep();
  readonly #key: string;
  #source: Buffer = Buffer.alloc(0);
  #target: Buffer = Buffer.alloc(0);
  #position = 0;

  /** @param key of the hashes; not used without a redaction `hash` */
  constructor(redactions: readonly Redaction[], key: string) {
    this.#key = key;
    for (const { path, action } of redactions) {
      let step = this.#root;
      for (const name of path) {
        const next = step.steps.get(name) ?? newStep();
        step.steps.set(name, next);
        step = next;
      }
      step.action = action;
    }
  }

  /**
   * @param document raw BSON; it stays as it is
   * @throws HeadraceError DOCUMENT_UNENCODABLE
   */
  redact(document: Uint8Array): Buffer {
    const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
    const end = documentEnd(bytes, 0, bytes.length);
    this.#source = bytes;
    // Grows where short values become hashes.
    this.#target = Buffer.allocUnsafe(bytes.length + 1024);
    this.#position = 0;
    this.#copyElements(0, end, this.#root, "named steps");
    this.#source = Buffer.alloc(0);
    return this.#target.subarray(0, this.#position);
  }

  /** @param inner whether all elements are at the same step, as those of an array are, or each at that of its name */
  #copyElements(start: number, end: number, step: Step, inner: "same step" | "named steps"): void {
    const at = this.#position;
    this.#ensure(LENGTH_BYTES);
    this.#position += LENGTH_BYTES;
    const last = end - 1;
    for (let element = start + LENGTH_BYTES; element < last;) {
      const type = this.#source[element] as number;
      const valueStart = cstringEnd(this.#source, element + 1, last);
      const next = valueEnd(this.#source, type, valueStart, last);
      const own = inner === "same step" ? step : this.#stepOf(step, element + 1, valueStart - 1);
      this.#copyElement({ element, type, valueStart, end: next }, own);
      element = next;
    }
    this.#ensure(1);
    this.#target[this.#position++] = 0;
    this.#target.writeInt32LE(this.#position - at, at);
  }

  #stepOf(step: Step, nameStart: number, nameEnd: number): Step | undefined {
    return step.steps.get(this.#source.toString("utf8", nameStart, nameEnd));
  }

  /** @param step undefined where no path leads to the element */
  #copyElement(found: Element, step: Step | undefined): void {
    const { element, type, valueStart, end } = found;
    const isArray = type === BsonType.array;
    if (step?.action === "drop") return;
    if (step === undefined || (step.action === undefined && !isArray && type !== BsonType.document)) {
      this.#copyBytes(element, end);
    } else if (step.action !== "null" && (isArray || type === BsonType.document)) {
      this.#copyBytes(element, valueStart);
      // What a hash replaces are the values in the document, whatever their names.
      const isSameStep = isArray || step.action === "hash";
      this.#copyElements(valueStart, end, step, isSameStep ? "same step" : "named steps");
    } else {
      this.#replace(found, step.action === "hash");
    }
  }

  /** By a hash, or by null. */
  #replace({ element, type, valueStart, end }: Element, isHash: boolean): void {
    const hash = isHash ? hashOf(this.#source, { type, start: valueStart, end }, this.#key) : null;
    this.#copyBytes(element, valueStart);
    this.#target[this.#position - (valueStart - element)] = hash === null ? BsonType.null : BsonType.string;
    if (hash === null) return;
    this.#ensure(HASH_VALUE_BYTES);
    this.#target.writeInt32LE(HASH_VALUE_BYTES - LENGTH_BYTES, this.#position);
    this.#target.write(hash, this.#position + LENGTH_BYTES, "latin1");
    this.#position += HASH_VALUE_BYTES;
    this.#target[this.#position - 1] = 0;
  }

  #copyBytes(start: number, end: number): void {
    this.#ensure(end - start);
    this.#source.copy(this.#target, this.#position, start, end);
    this.#position += end - start;
  }

  #ensure(count: number): void {
    if (this.#position + count <= this.#target.length) return;
    const larger = Buffer.allocUnsafe(2 * this.#target.length + count);
    this.#target.copy(larger, 0, 0, this.#position);
    this.#target = larger;
  }
}

/** Offsets in the source: of the type's byte, and of the value. */
interface Element {
  readonly element: number;
  readonly type: number;
  readonly valueStart: number;
  readonly end: number;
}

function newStep(): Step {
  return { steps: new Map(), action: undefined };
}
