import { isUtf8 } from "node:buffer";
import { Decimal128 } from "bson";

/**
 * A BSON value without loss: every type is kept apart, int64s and dates are exact. Only `verify` uses this code, so that
 * it does not repeat a mistake of the pipeline's own BSON reader.
 */
export type BsonValue =
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | BsonDocument
  | { readonly kind: "array"; readonly items: readonly BsonValue[] }
  | { readonly kind: "binary"; readonly subType: number; readonly bytes: Buffer }
  | { readonly kind: "undefined" }
  | { readonly kind: "objectId"; readonly hex: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "date"; /** ms since 1970 */ readonly ms: bigint }
  | { readonly kind: "null" }
  | { readonly kind: "regex"; readonly pattern: string; readonly options: string }
  | { readonly kind: "dbPointer"; readonly namespace: string; readonly hex: string }
  | { readonly kind: "code"; readonly code: string; readonly scope: BsonDocument | undefined }
  | { readonly kind: "symbol"; readonly value: string }
  | { readonly kind: "int32"; readonly value: number }
  | { readonly kind: "timestamp"; readonly seconds: number; readonly increment: number }
  | { readonly kind: "int64"; readonly value: bigint }
  | { readonly kind: "decimal128"; /** as Decimal128's canonical form writes it */ readonly text: string }
  | { readonly kind: "minKey" }
  | { readonly kind: "maxKey" };

/** Fields in order. If a name occurs twice, the last value counts. */
export interface BsonDocument {
  readonly kind: "document";
  readonly fields: ReadonlyMap<string, BsonValue>;
}

/**
 * Reads a raw BSON document. In strings and names, invalid UTF-8 becomes U+FFFD.
 * @param nulText what replaces a NUL character
 * @throws Error if the bytes are not BSON
 */
export function readBson(raw: Uint8Array, nulText: string): BsonDocument {
  return new Reader(raw, nulText).document();
}

/** A value with `nulText` in place of each NUL character, as `readBson` reads it. */
export function withoutNul<T extends BsonValue>(value: T, nulText: string): T {
  return replaceNul(value, (text) => text.replaceAll("\0", nulText)) as T;
}

function replaceNul(value: BsonValue, clean: (text: string) => string): BsonValue {
  const { kind } = value;
  if (kind === "string" || kind === "symbol") return { kind, value: clean(value.value) };
  if (kind === "array") return { kind, items: value.items.map((item) => replaceNul(item, clean)) };
  if (kind === "document") return replaceNulIn(value, clean);
  if (kind === "dbPointer") return { ...value, namespace: clean(value.namespace) };
  if (kind !== "code") return value;
  const scope = value.scope === undefined ? undefined : replaceNulIn(value.scope, clean);
  return { kind, code: clean(value.code), scope };
}

function replaceNulIn({ fields }: BsonDocument, clean: (text: string) => string): BsonDocument {
  const cleaned = Array.from(fields, ([name, each]): [string, BsonValue] => [clean(name), replaceNul(each, clean)]);
  return { kind: "document", fields: new Map(cleaned) };
}

/** A document's `_id`. Nothing in it is replaced or left out, because two keys could become one. */
export interface DocumentId {
  readonly id: BsonValue;
  /** Whether all strings and names are UTF-8 without NUL, and no sub-document has a name twice. */
  readonly isClean: boolean;
}

/** @throws Error if the bytes are not a BSON document with an `_id` */
export function readDocumentId(raw: Uint8Array): DocumentId {
  const reader = new Reader(raw, "\0");
  const id = reader.field("_id");
  if (id === undefined) throw new Error("The document has no _id.");
  return { id, isClean: reader.isClean };
}

class Reader {
  readonly #bytes: Buffer;
  readonly #nulText: string;
  isClean = true;
  #at = 0;

  constructor(raw: Uint8Array, nulText: string) {
    this.#nulText = nulText;
    this.#bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  }

  document(): BsonDocument {
    const fields = new Map<string, BsonValue>();
    let count = 0;
    this.#elements((name, value) => {
      fields.set(name, value);
      count++;
    });
    if (fields.size < count) this.isClean = false;
    return { kind: "document", fields };
  }

  /** The value of a top-level field. Reads nothing after it. */
  field(wanted: string): BsonValue | undefined {
    this.#int32();
    for (let type = this.#byte(); type !== 0; type = this.#byte()) {
      const name = this.#cString();
      this.isClean = true;
      const value = this.#value(type);
      if (name === wanted) return value;
    }
    return undefined;
  }

  #elements(add: (name: string, value: BsonValue) => void): void {
    const end = this.#at + this.#int32() - 1;
    while (this.#at < end) {
      const type = this.#byte();
      const name = this.#cString();
      add(name, this.#value(type));
    }
    if (this.#at !== end || this.#byte() !== 0)
      throw new Error("The length of a BSON document does not match its elements.");
  }

  #array(): BsonValue {
    const items: BsonValue[] = [];
    this.#elements((_index, value) => items.push(value));
    return { kind: "array", items };
  }

  #text(bytes: Buffer): string {
    const text = bytes.toString("utf8");
    const hasNul = text.includes("\0");
    if (hasNul || (text.includes("\ufffd") && !isUtf8(bytes))) this.isClean = false;
    return hasNul ? text.replaceAll("\0", this.#nulText) : text;
  }

  #value(type: number): BsonValue {
    switch (type) {
      case 0x01:
        return { kind: "double", value: this.#take(8).readDoubleLE() };
      case 0x02:
        return { kind: "string", value: this.#string() };
      case 0x03:
        return this.document();
      case 0x04:
        return this.#array();
      case 0x05:
        return this.#binary();
      case 0x06:
        return { kind: "undefined" };
      case 0x07:
        return { kind: "objectId", hex: this.#take(12).toString("hex") };
      case 0x08:
        return { kind: "boolean", value: this.#byte() === 1 };
      case 0x09:
        return { kind: "date", ms: this.#int64() };
      case 0x0a:
        return { kind: "null" };
      case 0x0b:
        return { kind: "regex", pattern: this.#cString(), options: this.#cString() };
      case 0x0c:
        return { kind: "dbPointer", namespace: this.#string(), hex: this.#take(12).toString("hex") };
      case 0x0d:
        return { kind: "code", code: this.#string(), scope: undefined };
      case 0x0e:
        return { kind: "symbol", value: this.#string() };
      case 0x0f:
        this.#take(4); // the length of code and scope together
        return { kind: "code", code: this.#string(), scope: this.document() };
      case 0x10:
        return { kind: "int32", value: this.#int32() };
      case 0x11: {
        const increment = this.#take(4).readUInt32LE();
        return { kind: "timestamp", seconds: this.#take(4).readUInt32LE(), increment };
      }
      case 0x12:
        return { kind: "int64", value: this.#int64() };
      case 0x13:
        return { kind: "decimal128", text: new Decimal128(Uint8Array.from(this.#take(16))).toString() };
      case 0xff:
        return { kind: "minKey" };
      case 0x7f:
        return { kind: "maxKey" };
      default:
        throw new Error(`BSON has no type 0x${type.toString(16)}.`);
    }
  }

  #binary(): BsonValue {
    const length = this.#int32();
    const subType = this.#byte();
    const content = this.#take(length);
    // Subtype 2 repeats the length inside.
    return { kind: "binary", subType, bytes: subType === 2 ? content.subarray(4) : content };
  }

  #take(length: number): Buffer {
    const from = this.#at;
    this.#at += length;
    if (length < 0 || this.#at > this.#bytes.length)
      throw new Error("A BSON value ends after the end of its document.");
    return this.#bytes.subarray(from, this.#at);
  }

  #byte(): number {
    return this.#take(1).readUInt8();
  }

  #int32(): number {
    return this.#take(4).readInt32LE();
  }

  #int64(): bigint {
    return this.#take(8).readBigInt64LE();
  }

  /** A string after its length, which includes the NUL at the end. */
  #string(): string {
    const withNul = this.#take(this.#int32());
    return this.#text(withNul.subarray(0, withNul.length - 1));
  }

  #cString(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new Error("A BSON name has no end.");
    const text = this.#text(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }
}
