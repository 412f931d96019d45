import type { ChangeEvent } from "./change-event.ts";

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

/** What goes into each record's `source`, as in Debezium's. */
export interface EventSource {
  /** The pipeline. */
  readonly name: string;
  readonly database: string;
  /** Headrace's own version. */
  readonly version: string;
}
