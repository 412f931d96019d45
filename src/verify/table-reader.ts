import { Query, escapeIdentifier } from "pg";
import type { ClientBase, QueryArrayConfig } from "pg";
import { classifyPostgresError } from "../consumers/postgres/errors.ts";
import { storedKey } from "../consumers/postgres/sql/stored-key.ts";

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

/**
 * Reads a table for `verify`. A missing table counts as empty, and a missing column as NULL. Throws HeadraceError for
 * every error of PostgreSQL.
 */
export class TableReader {
  readonly #client: ClientBase;
  readonly #relation: string;
  #catalog: Catalog = { types: new Map(), hasTombstones: false };

  private constructor(client: ClientBase, relation: string) {
    this.#client = client;
    this.#relation = relation;
  }

  /** @param client for this reader alone, which begins transactions */
  static async open(client: ClientBase, schema: string, table: string): Promise<TableReader> {
    const reader = new TableReader(client, `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`);
    await reader.lookAgain();
    return reader;
  }

  /** Reads the catalog again: the pipeline creates tables and columns while `verify` waits. */
  async lookAgain(): Promise<void> {
    try {
      this.#catalog = await readCatalog(this.#client, this.#relation);
    } catch (error) {
      throw classifyPostgresError(error, { connectionLost: true });
    }
  }

  /** Reads the rows of these keys one by one, so that at most one large row is in memory. */
  async rows(keys: readonly string[], columns: readonly string[], onRow: OnRow): Promise<void> {
    const type = this.#keyType();
    const possible = type === undefined ? [] : keys.filter((key) => type.canHold(key));
    if (type === undefined || possible.length === 0) return;
    const selected = ["_version", ...columns].map((name) =>
      this.#catalog.types.has(name) ? escapeIdentifier(name) : "NULL",
    );
    await this.#stream(
      `SELECT _id, ${selected.join(", ")} FROM ${this.#relation} WHERE _id = ANY($1::${type.sql}[])`,
      [possible],
      ([key, version, ...texts]) => onRow(key ?? "", versionOf(version), texts),
    );
  }

  /** The versions of the deletes of these keys that the sink remembers. */
  async deletions(keys: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const versions = new Map<string, bigint>();
    if (keys.length === 0 || !this.#catalog.hasTombstones) return versions;
    await this.#stream(
      `SELECT wanted.key, version FROM unnest($2::text[]) AS wanted (key)
       JOIN headrace.tombstones AS known ON relation = $1 AND known.key = ${storedKey("wanted.key")}`,
      [this.#relation, keys],
      ([key, version]) => versions.set(key ?? "", BigInt(version ?? 0)),
    );
    return versions;
  }

  /** Up to `limit` keys in order, beginning after a given key; null: from the first. */
  async keysAfter(after: string | null, limit: number): Promise<string[]> {
    const keys: string[] = [];
    if (this.#keyType() === undefined) return keys;
    const where = after === null ? "" : "WHERE _id > $2";
    await this.#stream(
      `SELECT _id FROM ${this.#relation} ${where} ORDER BY _id LIMIT $1`,
      after === null ? [limit] : [limit, after],
      ([key]) => keys.push(key ?? ""),
    );
    return keys;
  }

  #keyType(): KeyType | undefined {
    const name = this.#catalog.types.get("_id");
    return name === undefined ? undefined : (KEY_TYPES.get(name) ?? TEXT_KEYS);
  }

  async #stream(text: string, values: unknown[], onRow: (row: RowTexts) => void): Promise<void> {
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

  #streamRows(text: string, values: unknown[], onRow: (row: RowTexts) => void): Promise<void> {
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

interface Catalog {
  /** The types of the table's columns, by name. */
  readonly types: ReadonlyMap<string, string>;
  readonly hasTombstones: boolean;
}

async function readCatalog(client: ClientBase, relation: string): Promise<Catalog> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [relation],
  );
  const found = await client.query("SELECT WHERE to_regclass('headrace.tombstones') IS NOT NULL");
  return { types: new Map(rows.map(({ name, type }) => [name, type])), hasTombstones: found.rowCount === 1 };
}

function versionOf(text: string | null | undefined): bigint | null {
  return typeof text === "string" && /^\d+$/.test(text) ? BigInt(text) : null;
}

interface KeyType {
  readonly sql: string;
  /** Whether the text can be cast to the type. Otherwise no row has the key. */
  canHold(key: string): boolean;
}

const INTEGER_KEYS: KeyType = {
  sql: "bigint",
  canHold: (key) => /^-?\d{1,19}$/.test(key) && BigInt.asIntN(64, BigInt(key)) === BigInt(key),
};
const TEXT_KEYS: KeyType = { sql: "text", canHold: () => true };
const UUID_KEYS: KeyType = { sql: "uuid", canHold: (key) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key) };
const KEY_TYPES: ReadonlyMap<string, KeyType> = new Map([
  ["smallint", INTEGER_KEYS],
  ["integer", INTEGER_KEYS],
  ["bigint", INTEGER_KEYS],
  ["uuid", UUID_KEYS],
]);
