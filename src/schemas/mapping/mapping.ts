import type { ColumnType } from "./column-type.ts";

/** The types that the `_id`s of a collection can have; `mixed` if several BSON types occur. */
export const ID_TYPES = ["objectId", "string", "integer", "uuid", "mixed"] as const;

export type IdType = (typeof ID_TYPES)[number];

/** One declared column: where its value stands in the document and what PostgreSQL makes of it. */
export interface ColumnMapping {
  readonly name: string;
  readonly path: readonly string[];
  readonly type: ColumnType;
}

/** How one collection is mapped; comes from the config. */
export interface CollectionMapping {
  readonly collection: string;
  readonly mode: "document" | "columns";
  /** Empty in document mode. */
  readonly columns: readonly ColumnMapping[];
  /** Declared in the config, else found out once and kept in the registered key schema. */
  readonly idType: IdType | undefined;
}

/** One nullable field of `Value`. */
export interface ValueField {
  /** Of the PostgreSQL column; the Avro field's is `escapeAvroName(column)`. */
  readonly column: string;
  readonly type: ColumnType;
}

/**
 * What happens to a NUL character in a text, which PostgreSQL stores neither in text nor in jsonb: it becomes U+FFFD, it
 * is removed, or its document becomes a dead letter.
 */
export const NUL_CHARACTERS = ["replace", "strip", "dead-letter"] as const;

export type NulCharacters = (typeof NUL_CHARACTERS)[number];
