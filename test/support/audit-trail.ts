// A trigger that keeps every state a row has ever shown, and the check of that trail against the writer's model.
import { escapeIdentifier, type Pool } from "pg";
import type { Fields, ModelWriter } from "./model-writer.ts";

interface AuditEntry {
  readonly relation: string;
  readonly key: string;
  readonly version: string;
  /** null: the row was deleted. */
  readonly row: Record<string, unknown> | null;
}

/** Makes the tables as Headrace would, with the trigger on them from the first row on. */
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

/**
 * Every way in which the trail differs from the model: a version that fell, or a row that was not what the
 * document was at the row's version.
 * @param rowOf makes the row (without `_id` and `_version`) that a document should have in a table.
 */
export async function auditViolations(
  pool: Pool,
  model: ModelWriter,
  rowOf: (table: string, key: string, fields: Fields) => Record<string, unknown>,
): Promise<{ entries: number; violations: string[] }> {
  const { rows } = await pool.query<AuditEntry>("SELECT relation, key, version, row FROM audit ORDER BY seq");
  const violations: string[] = [];
  const last = new Map<string, bigint>();
  for (const entry of rows) {
    const id = `${entry.relation}/${entry.key}`;
    const version = BigInt(entry.version);
    const before = last.get(id) ?? 0n;
    if (version < before) violations.push(`${id}: version ${version} after ${before}`);
    last.set(id, version);
    if (entry.row === null) continue;
    const fields = model.fieldsAt(entry.relation, entry.key, version);
    const { _id, _version, ...shown } = entry.row;
    const expected = fields === null ? null : rowOf(entry.relation, entry.key, fields);
    if (canonical(shown) !== canonical(expected))
      violations.push(`${id} at ${version}: shows ${canonical(shown)}, the document was ${canonical(expected)}`);
  }
  return { entries: rows.length, violations };
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
