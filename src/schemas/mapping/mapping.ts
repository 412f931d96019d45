import type { AvroType, ColumnType } from "./column-type.ts";

/** The types that the `_id`s of a collection can have; `mixed` if several BSON types occur. */
export const ID_TYPES = ["objectId", "string", "integer", "uuid", "mixed"] as const;

export type IdType = (typeof ID_TYPES)[number];

/** One declared column: the path of its value in the document, and its type in PostgreSQL. */
export interface ColumnMapping {
  readonly name: string;
  readonly path: readonly string[];
  readonly type: ColumnType;
}

/** An array whose elements have a table of their own. */
export interface ChildMapping {
  /** Its table has the name of the table around it, `_`, and this. */
  readonly name: string;
  /** Of the array, in the document or in the element around it. */
  readonly path: readonly string[];
  /** `documents`: each element is a document. `values`: each element is the value of the one column, `value`. */
  readonly elements: "documents" | "values";
  /** Of one element. The path of the column `value` is empty. */
  readonly columns: readonly ColumnMapping[];
  /** Arrays in the elements. */
  readonly children: readonly ChildMapping[];
  /** Whether the table has a foreign key to the table of the documents. */
  readonly hasForeignKey: boolean;
}

/** `drop`: the field is left out. `null`: it is null. `hash`: it is replaced by its HMAC. */
export const REDACTION_ACTIONS = ["drop", "null", "hash"] as const;

export type RedactionAction = (typeof REDACTION_ACTIONS)[number];

/** A field whose value leaves the producer only in another form, or not at all. */
export interface Redaction {
  /** Leads through arrays: into each of their elements. */
  readonly path: readonly string[];
  readonly action: RedactionAction;
}

export interface RedactionRules {
  /** No path is, or leads into, another one. */
  readonly redactions: readonly Redaction[];
  /** Of the hashes; empty if there are none. A secret. */
  readonly hashKey: string;
}

/** How the config maps one collection. */
export interface CollectionMapping {
  readonly collection: string;
  readonly mode: "document" | "columns";
  /** Empty in document mode. */
  readonly columns: readonly ColumnMapping[];
  /** Empty in document mode. */
  readonly children: readonly ChildMapping[];
  /** Undefined: every value is copied. */
  readonly redaction?: RedactionRules | undefined;
  /** Undefined if the config does not declare it. Then the registered key schema has it once it is known. */
  readonly idType: IdType | undefined;
  /**
   * A MongoDB query in canonical Extended JSON: a document that does not match is absent, as if it did not exist. Undefined: all
   * documents are replicated.
   */
  readonly filter?: string | undefined;
}

/** One nullable field of the Avro record `Value`. */
export interface ValueField {
  /** Name of the PostgreSQL column. The Avro field is named `escapeAvroName(column)`. */
  readonly column: string;
  readonly type: ColumnType;
  readonly avroType: AvroType;
  /** For people who read the topics. */
  readonly doc: string;
}

/** One nullable field of the Avro record `Value`, or of an element: an array of records, one for each element. */
export interface ValueChild extends Pick<ChildMapping, "name" | "elements" | "hasForeignKey"> {
  /** Of an element's record: the declared columns, then `_extra`. */
  readonly fields: readonly ValueField[];
  /** The fields after those. */
  readonly children: readonly ValueChild[];
  readonly doc: string;
}

/**
 * What happens to a NUL character in a text, because PostgreSQL can store it neither in text nor in jsonb: it becomes
 * U+FFFD, it is removed, or its document becomes a dead letter.
 */
export const NUL_CHARACTERS = ["replace", "strip", "dead-letter"] as const;

export type NulCharacters = (typeof NUL_CHARACTERS)[number];
