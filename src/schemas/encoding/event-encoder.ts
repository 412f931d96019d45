import type { ChangeEvent } from "../change-event.ts";
import { AvroWriter } from "../formats/avro-writer.ts";
import { canonicalKey } from "../keys/document-key.ts";
import type { CollectionSchema } from "../mapping/collection-schema.ts";
import type { NulCharacters } from "../mapping/mapping.ts";
import { createDocumentWriter, type DocumentWriter } from "./document-writer.ts";
import { NULL_BRANCH, VALUE_BRANCH } from "./fit.ts";

/** A change event as key and value of a Kafka record. */
export interface EncodedEvent {
  /** In Confluent's wire format. */
  readonly key: Buffer;
  /** In Confluent's wire format. Never null: the publisher adds the tombstone after a delete. */
  readonly value: Buffer;
  /**
   * The columns, including `_extra` and `doc`, that do not hold the document's value unchanged: the value did not fit
   * and is in `_extra`, characters were replaced, or a duplicate name was dropped. Each name once.
   */
  readonly misfits: readonly string[];
}

/** Writes the events of one collection. Made by `createEventEncoder`. */
export interface EventEncoder {
  /**
   * @throws HeadraceError ID_TYPE_MISMATCH, KEY_INVALID or DOCUMENT_UNENCODABLE, all poison. Nothing else, whatever the
   *   bytes are
   */
  encode(event: ChangeEvent): EncodedEvent;
}

/** The registry's ids of a collection's schemas. */
interface SchemaIds {
  readonly key: number;
  readonly truncateKey: number;
  readonly value: number;
}

export interface EventEncoderOptions {
  /** Also has the origin: pipeline, database, collection. */
  readonly schema: CollectionSchema;
  readonly schemaIds: SchemaIds;
  /** Written as `source.version`. */
  readonly headraceVersion: string;
  /** Default: replace. */
  readonly nulCharacters?: NulCharacters;
  /** The time for the envelope's `ts_ms`, in ms since 1970. */
  readonly now?: () => number;
}

/** Compiles the collection's mapping. Make one encoder per collection and keep it. */
export function createEventEncoder(options: EventEncoderOptions): EventEncoder {
  return new BinaryEventEncoder(options);
}

/** `source.connector`, named as Debezium's connector. */
const CONNECTOR = "mongodb";

/** Splits a version without bigint arithmetic. */
const HALVES = new DataView(new ArrayBuffer(8));

const NO_MISFITS: readonly string[] = [];

/** The text that is written for a NUL character; null if its document cannot be encoded. */
const NUL_TEXTS: Readonly<Record<NulCharacters, string | null>> = {
  replace: "\ufffd",
  strip: "",
  "dead-letter": null,
};

class BinaryEventEncoder implements EventEncoder {
  readonly #schema: CollectionSchema;
  readonly #out: AvroWriter;
  readonly #documentWriter: DocumentWriter;
  readonly #now: () => number;
  readonly #keyHeader: Buffer;
  readonly #truncateKey: Buffer;
  readonly #valueHeader: Buffer;
  /** All fields of `Value` but `_id`, each null. */
  readonly #nullFields: Buffer;
  /** The parts of `source` that never change. */
  readonly #sourceHead: Buffer;
  readonly #sourceNames: Buffer;

  constructor({ schema, schemaIds, headraceVersion, nulCharacters = "replace", now = Date.now }: EventEncoderOptions) {
    this.#schema = schema;
    this.#now = now;
    this.#out = new AvroWriter(NUL_TEXTS[nulCharacters]);
    this.#documentWriter = createDocumentWriter(schema, this.#out);
    this.#keyHeader = confluentHeader(schemaIds.key);
    this.#truncateKey = Buffer.concat([confluentHeader(schemaIds.truncateKey), Buffer.of(NULL_BRANCH)]);
    this.#valueHeader = confluentHeader(schemaIds.value);
    this.#nullFields = Buffer.alloc(schema.fields.length + schema.children.length, NULL_BRANCH);
    this.#sourceHead = avroStrings(headraceVersion, CONNECTOR, schema.origin.name);
    this.#sourceNames = avroStrings(schema.origin.database, schema.mapping.collection);
  }

  encode(event: ChangeEvent): EncodedEvent {
    const out = this.#out;
    out.reset();
    if (event.op === "t") {
      this.#writeHead(null);
      out.appendByte(NULL_BRANCH);
      this.#writeTail(event);
      return { key: this.#truncateKey, value: out.take(), misfits: NO_MISFITS };
    }
    const id = canonicalKey(this.#schema.idType, event.documentKey);
    appendAll(out, this.#keyHeader);
    this.#writeId(id);
    const key = out.take();
    let misfits = NO_MISFITS;
    this.#writeHead(event.op === "d" ? id : null);
    if (event.document === null) {
      out.appendByte(NULL_BRANCH);
    } else {
      const document = asBuffer(event.document);
      out.ensure(document.length);
      out.appendByte(VALUE_BRANCH);
      this.#writeId(id);
      misfits = this.#documentWriter.write(document);
    }
    this.#writeTail(event);
    return { key, value: out.take(), misfits };
  }

  /** @param deletedId the `_id` in `before`; null: `before` is null */
  #writeHead(deletedId: string | null): void {
    appendAll(this.#out, this.#valueHeader);
    if (deletedId === null) return this.#out.appendByte(NULL_BRANCH);
    this.#out.appendByte(VALUE_BRANCH);
    this.#writeId(deletedId);
    appendAll(this.#out, this.#nullFields);
  }

  #writeId(id: string): void {
    if (this.#schema.idType === "integer") this.#out.writeBigLong(BigInt(id));
    else this.#out.writeString(id);
  }

  /** `source`, `op`, `ts_ms`. */
  #writeTail(event: ChangeEvent): void {
    const out = this.#out;
    appendAll(out, this.#sourceHead);
    HALVES.setBigInt64(0, event.version);
    const seconds = HALVES.getInt32(0);
    const increment = HALVES.getUint32(4);
    out.writeSafeLong(seconds * 1_000);
    out.writeAscii(event.op === "r" ? (event.snapshot ?? "true") : "false");
    appendAll(out, this.#sourceNames);
    out.writeLong(seconds, increment);
    out.appendByte(VALUE_BRANCH);
    out.writeSafeLong(seconds * 1_000_000);
    out.appendByte(VALUE_BRANCH);
    out.writeLong(0, increment);
    out.writeAscii(event.op);
    out.writeSafeLong(this.#now());
  }
}

/** A zero byte and the schema id. */
function confluentHeader(schemaId: number): Buffer {
  const header = Buffer.alloc(5);
  header.writeInt32BE(schemaId, 1);
  return header;
}

function avroStrings(...texts: readonly string[]): Buffer {
  const out = new AvroWriter();
  for (const text of texts) out.writeString(text);
  return out.take();
}

function appendAll(out: AvroWriter, bytes: Buffer): void {
  out.appendBytes(bytes, 0, bytes.length);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
