import { Query, escapeIdentifier } from "pg";
import type { ClientBase, QueryArrayConfig } from "pg";
import { classifyPostgresError } from "../consumers/postgres/errors.ts";
import { storedKey } from "../consumers/postgres/sql/stored-key.ts";
import { keyTypeOf } from "./key-types.ts";
import { hasParent, orphansText, parentsText, rowsText, rowsWithElementsText } from "./rows-sql.ts";
import type { ReadTable } from "./rows-sql.ts";

/**
 * PostgreSQL prints numbers with all digits, and dates in ISO style and UTC. Only for a transaction: behind a pooler, the
 * session may be another client's next.
 */
const BEGIN = `
  BEGIN READ ONLY; SET LOCAL extra_float_digits = 1; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC';
  SET LOCAL bytea_output = 'hex'`;

const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** One text for each requested column; null for NULL. */
export type RowTexts = readonly (string | null)[];

/** @param version the row's `_version`; null if the row has none, because another program wrote it */
export type OnRow = (key: string, version: bigint | null, texts: RowTexts) => void;

/** The rows of the children, to be read beside those of the documents. */
export interface ElementRows {
  /** The columns of each child's table. */
  readonly columns: readonly (readonly string[])[];
  /** @param key of the document @param place of the child */
  readonly onElement: (key: string, place: number, texts: RowTexts) => void;
}

/**
 * Reads a table for `verify`, and those of its children. A missing table counts as empty, and a missing column as NULL.
 * Throws HeadraceError for every error of PostgreSQL.
 */
export class TableReader {
  readonly #client: ClientBase;
  /** Of the documents, then of the children; each quoted, with its schema. */
  readonly #relations: readonly [string, ...string[]];
  #catalog: Catalog = { types: [], hasTombstones: false };

  private constructor(client: ClientBase, relations: readonly [string, ...string[]]) {
    this.#client = client;
    this.#relations = relations;
  }

  /**
   * @param client for this reader alone, which begins transactions
   * @param suffixes of the tables of the children: each has the name of the documents' table, `_`, and this
   */
  static async open(
    client: ClientBase,
    { schema, table, suffixes = [] }: { schema: string; table: string; suffixes?: readonly string[] },
  ): Promise<TableReader> {
    const relation = (name: string) => `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
    const children = suffixes.map((suffix) => relation(`${table}_${suffix}`));
    const reader = new TableReader(client, [relation(table), ...children]);
    await reader.lookAgain();
    return reader;
  }

  /** Reads the catalog again: the pipeline creates tables and columns while `verify` waits. */
  async lookAgain(): Promise<void> {
    try {
      this.#catalog = await readCatalog(this.#client, this.#relations);
    } catch (error) {
      throw classifyPostgresError(error, { connectionLost: true });
    }
  }

  /**
   * Reads the rows of these keys one by one, so that at most one large row is in memory.
   * @param elements also reads the rows of the children, as of the same moment, those of a document mostly behind its row
   */
  async rows(keys: readonly string[], columns: readonly string[], onRow: OnRow, elements?: ElementRows): Promise<void> {
    const documents = this.#documents();
    const type = keyTypeOf(documents.types.get("_id"));
    const possible = type === undefined ? [] : keys.filter((key) => type.canHold(key));
    if (type === undefined || possible.length === 0) return;
    const read = { ...documents, columns: ["_version", ...columns] };
    const onDocument: OnTexts = ([key, version, ...texts]) => onRow(key ?? "", versionOf(version), texts);
    if (elements === undefined || elements.columns.length === 0)
      return this.#stream(rowsText(read, type.sql), [possible], onDocument);
    const children = this.#children().map((child, place) => ({ ...child, columns: elements.columns[place] ?? [] }));
    await this.#stream(rowsWithElementsText(read, children, type.sql), [possible], ([key, place, ...texts]) => {
      if (place === "0") onDocument([key ?? "", ...texts]);
      else elements.onElement(key ?? "", Number(place) - 1, texts);
    });
  }

  /** The versions of the deletes of these keys that the sink remembers. */
  async deletions(keys: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const versions = new Map<string, bigint>();
    if (keys.length === 0 || !this.#catalog.hasTombstones) return versions;
    await this.#stream(
      `SELECT wanted.key, version FROM unnest($2::text[]) AS wanted (key)
       JOIN headrace.tombstones AS known ON relation = $1 AND known.key = ${storedKey("wanted.key")}`,
      [this.#documents().relation, keys],
      ([key, version]) => versions.set(key ?? "", BigInt(version ?? 0)),
    );
    return versions;
  }

  /** Up to `limit` keys in order, beginning after a given key; null: from the first. */
  async keysAfter(after: string | null, limit: number): Promise<string[]> {
    const keys: string[] = [];
    const { relation, types } = this.#documents();
    if (!types.has("_id")) return keys;
    const where = after === null ? "" : "WHERE _id > $2";
    await this.#stream(
      `SELECT _id FROM ${relation} ${where} ORDER BY _id LIMIT $1`,
      after === null ? [limit] : [limit, after],
      ([key]) => keys.push(key ?? ""),
    );
    return keys;
  }

  /** Looks at up to `limit` keys in the tables of children, in order, and says which of them have no row. */
  async orphansAfter(after: string | null, limit: number): Promise<OrphansStep> {
    const children = this.#readableChildren();
    const orphans: string[] = [];
    let last: string | null = null;
    if (children.length === 0) return { last, orphans };
    await this.#stream(
      parentsText(this.#documents(), children, after === null),
      after === null ? [limit] : [limit, after],
      ([key = "", isGone]) => {
        last = key;
        if (isGone === "t") orphans.push(key ?? "");
      },
    );
    return { last, orphans };
  }

  /** Those of the keys that are still in the tables of children, and have no row. */
  async orphansAmong(keys: readonly string[]): Promise<readonly string[]> {
    const children = this.#readableChildren();
    const type = keyTypeOf(children[0]?.types.get("_parent"));
    const possible = type === undefined ? [] : keys.filter((key) => type.canHold(key));
    const orphans: string[] = [];
    if (type === undefined || possible.length === 0) return orphans;
    await this.#stream(orphansText(this.#documents(), children, type.sql), [possible], ([key]) =>
      orphans.push(key ?? ""),
    );
    return orphans;
  }

  #documents(): ReadTable {
    return { relation: this.#relations[0], types: this.#catalog.types[0] ?? NO_COLUMNS };
  }

  #children(): readonly ReadTable[] {
    const [, ...children] = this.#relations;
    return children.map((relation, place) => ({ relation, types: this.#catalog.types[place + 1] ?? NO_COLUMNS }));
  }

  #readableChildren(): readonly ReadTable[] {
    return this.#children().filter(hasParent);
  }

  async #stream(text: string, values: unknown[], onRow: OnTexts): Promise<void> {
    try {
      await this.#client.query(BEGIN);
      await this.#streamRows(text, values, onRow);
    } catch (error) {
      throw classifyPostgresError(error, { connectionLost: true });
    } finally {
      // Where the connection is lost, the error above says so.
      await this.#client.query("ROLLBACK").catch(() => {});
    }
  }

  #streamRows(text: string, values: unknown[], onRow: OnTexts): Promise<void> {
    return new Promise((resolve, reject) => {
      let failure: unknown;
      const config: QueryArrayConfig = { text, values, rowMode: "array", types: AS_TEXT };
      const query = new Query<(string | null)[]>(config);
      query.on("row", (row: RowTexts) => {
        if (failure !== undefined) return;
        try {
          onRow(row);
        } catch (error) {
          failure = error ?? new Error("unknown");
        }
      });
      query.on("error", reject);
      query.on("end", () => (failure === undefined ? resolve() : reject(failure as Error)));
      this.#client.query(query);
    });
  }
}

type OnTexts = (row: RowTexts) => void;

/** @param last the last key that was looked at; null if there is no further one */
export interface OrphansStep {
  readonly last: string | null;
  readonly orphans: readonly string[];
}

const NO_COLUMNS: ReadonlyMap<string, string> = new Map();

interface Catalog {
  /** For each relation, the types of its columns by name. */
  readonly types: readonly ReadonlyMap<string, string>[];
  readonly hasTombstones: boolean;
}

async function readCatalog(client: ClientBase, relations: readonly string[]): Promise<Catalog> {
  const { rows } = await client.query<{ relation: string; name: string; type: string }>(
    `SELECT relation, attname AS name, format_type(atttypid, NULL) AS type
     FROM unnest($1::text[]) AS relation JOIN pg_attribute ON attrelid = to_regclass(relation)
     WHERE attnum > 0 AND NOT attisdropped`,
    [relations],
  );
  const found = await client.query("SELECT WHERE to_regclass('headrace.tombstones') IS NOT NULL");
  const typesOf = (wanted: string) =>
    new Map(rows.filter(({ relation }) => relation === wanted).map(({ name, type }) => [name, type]));
  return { types: relations.map(typesOf), hasTombstones: found.rowCount === 1 };
}

function versionOf(text: string | null | undefined): bigint | null {
  return typeof text === "string" && /^\d+$/.test(text) ? BigInt(text) : null;
}
