/** A PostgreSQL column type that Headrace can fill, in normal form. */
export interface ColumnType {
  /** As PostgreSQL's format_type() writes it: `numeric(10,2)`, `character varying(20)`, `timestamp with time zone`, `text[]`. */
  readonly sql: string;
  readonly base:
    | "text"
    | "character varying"
    | "character"
    | "smallint"
    | "integer"
    | "bigint"
    | "real"
    | "double precision"
    | "numeric"
    | "boolean"
    | "date"
    | "timestamp without time zone"
    | "timestamp with time zone"
    | "uuid"
    | "bytea"
    | "jsonb";
  readonly isArray: boolean;
  /** character types: the most characters; numeric: precision. */
  readonly length: number | undefined;
  /** numeric only. */
  readonly scale: number | undefined;
}
