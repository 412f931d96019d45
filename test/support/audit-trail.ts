// A trigger that records every state of every row, and the comparison of these states with the writer's model.
import { escapeIdentifier, type Pool } from "pg";
import type { Fields, ModelHistory } from "./model-history.ts";

/** A column that a changed mapping adds for a while, of a field that no document has. It does not count. */
export const ADDED_COLUMN = "added";

interface AuditEntry {
  readonly relation: string;
  readonly key: string;
  readonly version: string;
  /** Null: the row, with this version, was deleted. */
  readonly row: Record<string, unknown> | null;
}

/** Creates the tables like Headrace, with the trigger before the first row. */
export async function createAuditedTables(pool: Pool, tables: Record<string, string>): Promise<void> {
  await pool.query(
    "CREATE TABLE audit (seq bigserial PRIMARY KEY, relation text, key text, version bigint, row jsonb)",
  );
  await pool.query(`
    CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      EXECUTE format('INSERT INTO %I.audit (relation, key, version, row) VALUES ($1, $2, $3, $4)', TG_TABLE_SCHEMA)
        USING TG_TABLE_NAME, coalesce(NEW._id, OLD._id)::text, coalesce(NEW._version, OLD._version),
              CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
      RETURN NULL;
    END $$`);
  for (const [table, columns] of Object.entries(tables)) {
    await pool.query(`CREATE TABLE ${escapeIdentifier(table)} (_id text PRIMARY KEY, _version bigint, ${columns})`);
    await pool.query(
      `CREATE TRIGGER keep_audit AFTER INSERT OR UPDATE OR DELETE ON ${escapeIdentifier(table)} FOR EACH ROW EXECUTE FUNCTION keep_audit()`,
    );
  }
}

/** The row that a document should have in a table, without `_id` and `_version`. */
export type RowOf = (table: string, key: string, fields: Fields) => Record<string, unknown>;

/** Number of states that rows have had so far. */
export async function auditEntries(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: string }>("SELECT count(*) FROM audit");
  return Number(rows[0]?.count);
}

/**
 * Every difference between the recorded states and the model: a version that went back, a row that differs from the
 * document at the row's version, or a row that vanished without a reason.
 */
export async function auditViolations(
  pool: Pool,
  model: ModelHistory,
  rowOf: RowOf,
): Promise<{ entries: number; stepsBack: number; violations: string[] }> {
  const { rows } = await pool.query<AuditEntry>("SELECT relation, key, version, row FROM audit ORDER BY seq");
  const violations: string[] = [];
  let stepsBack = 0;
  const last = new Map<string, bigint>();
  for (const entry of rows) {
    const id = `${entry.relation}/${entry.key}`;
    const version = BigInt(entry.version);
    const before = last.get(id) ?? 0n;
    if (version < before) {
      stepsBack++;
      violations.push(`${id}: version ${version} after ${before}`);
    }
    last.set(id, version);
    if (entry.row === null) {
      if (!model.vanishesAfter(entry.relation, entry.key, version))
        violations.push(`${id}: vanished at ${version}, but the document was not deleted after that`);
      continue;
    }
    const fields = model.fieldsAt(entry.relation, entry.key, version);
    const { _id, _version, [ADDED_COLUMN]: _added, ...shown } = entry.row;
    const expected = fields === null ? null : rowOf(entry.relation, entry.key, fields);
    if (canonical(shown) !== canonical(expected))
      violations.push(`${id} at ${version}: shows ${canonical(shown)}, the document was ${canonical(expected)}`);
  }
  return { entries: rows.length, stepsBack, violations };
}

/** Every difference between a table and the current documents of its collection in the model. */
export async function rowDifferences(pool: Pool, model: ModelHistory, table: string, rowOf: RowOf): Promise<string[]> {
  const { rows } = await pool.query<{ key: string; row: Record<string, unknown> }>(
    `SELECT _id AS key, to_jsonb(t) - '_id' - '_version' - '${ADDED_COLUMN}' AS row FROM ${escapeIdentifier(table)} AS t`,
  );
  const shown = new Map(rows.map(({ key, row }) => [key, canonical(row)]));
  const expected = new Map(
    [...model.documentsIn(table)].map(([key, fields]) => [key, canonical(rowOf(table, key, fields))]),
  );
  return [...new Set([...shown.keys(), ...expected.keys()])]
    .filter((key) => shown.get(key) !== expected.get(key))
    .map((key) => `${table}/${key}: shows ${shown.get(key)}, the document is ${expected.get(key)}`);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
