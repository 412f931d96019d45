import type { ChangeEvent } from "./change-event.ts";
import type { CollectionSchema } from "./collection-schema.ts";

/** A change event as the two halves of a Kafka record. */
export interface EncodedEvent {
  /** Confluent wire format; for a truncate the key of its own, which is not Avro. */
  readonly key: Buffer;
  /** Confluent wire format; never null: the tombstone after a delete is the publisher's. */
  readonly value: Buffer;
  /**
   * The columns (`_extra` and `doc` among them) whose value is not the document's own: it did not fit and
   * stays in `_extra`, or characters were replaced, or a duplicate name was dropped. Each name once.
   */
  readonly misfits: readonly string[];
}

/** Writes the events of one collection. Made by `createEventEncoder`. */
export interface EventEncoder {
  /**
   * @throws ContractError ID_TYPE_MISMATCH, KEY_INVALID or DOCUMENT_UNENCODABLE, all poison; nothing else,
   * whatever bytes the event holds
   */
  encode(event: ChangeEvent): EncodedEvent;
}

/** The ids that the registry gave to the two schemas of a collection. */
export interface SchemaIds {
  readonly key: number;
  readonly value: number;
}

export interface EventEncoderOptions {
  /** Says the origin (pipeline, database, collection) too. */
  readonly schema: CollectionSchema;
  readonly schemaIds: SchemaIds;
  /** The envelope's `ts_ms`: when the event was encoded, ms since 1970. */
  readonly now?: () => number;
}

/** Compiles the mapping once; an encoder is to be kept for a collection's life. */
export function createEventEncoder(_options: EventEncoderOptions): EventEncoder {
  throw new Error("not built yet");
}
