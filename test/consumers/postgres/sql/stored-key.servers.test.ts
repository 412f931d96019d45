import { randomBytes } from "node:crypto";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import { PostgresTables } from "../../../../src/consumers/postgres/tables.ts";
import type { HeadraceError } from "../../../../src/errors/error.ts";
import { freshPostgresSchema, freshPostgresUser } from "../../../support/servers.ts";
import { batchAt, deletion, freshSink, openClient, truncate, upsert } from "../fixture.ts";
import type { SinkFixture } from "../fixture.ts";

const home = { topic: "t", partition: 0 };

/** PostgreSQL compresses it, so that it fits into an index. */
const compressible = "k".repeat(100_000);
const digestLike = `sha256:${"0".repeat(64)}`;
const KEYS = [compressible, "é".repeat(501), "x".repeat(1_000), "x".repeat(1_001), digestLike, "sha256:", "", "a"];

/** The tables that version 0.1.0 made and that have a key. */
async function createTablesOf010({ pool, schema }: Pick<SinkFixture, "pool" | "schema">): Promise<void> {
  await pool.query(`
    CREATE TABLE "${schema}".tombstones ("relation" text COLLATE "C", "key" text COLLATE "C", version bigint NOT NULL,
      deleted_at timestamptz NOT NULL, PRIMARY KEY ("relation", "key"));
    CREATE INDEX ON "${schema}".tombstones (deleted_at);
    CREATE TABLE "${schema}".unapplied ("relation" text COLLATE "C", "key" text COLLATE "C", version bigint NOT NULL,
      PRIMARY KEY ("relation", "key"))`);
}

async function applyAll({ sink, schema }: SinkFixture, start: number, changes: Parameters<typeof batchAt>[2]) {
  let offset = start;
  for (const change of changes)
    expect(await sink.apply(batchAt(offset++, { schema, table: "mine" }, [change]))).toBe("applied");
}

async function rowsOf(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ _id: string }>("SELECT _id FROM mine");
  return rows.map(({ _id }) => _id).toSorted();
}

describe.each(["new tables", "tables of version 0.1.0"])("%s", (which) => {
  async function prepared(): Promise<SinkFixture> {
    const fixture = await freshSink();
    if (which !== "new tables") await createTablesOf010(fixture);
    await fixture.sink.readProgress([home]);
    return fixture;
  }

  test("remember deletes of keys of every length, each by itself", async () => {
    const fixture = await prepared();
    await applyAll(fixture, 0, [
      ...KEYS.map((key) => upsert(key, 1, "new")),
      ...KEYS.map((key) => deletion(key, 3)),
      ...KEYS.map((key) => upsert(key, 2, "late")),
      upsert("live", 2, "late"),
    ]);
    expect(await rowsOf(fixture.pool)).toEqual(["live"]);
    await applyAll(
      fixture,
      3 * KEYS.length + 1,
      KEYS.map((key) => upsert(key, 4, "again")),
    );
    expect(await rowsOf(fixture.pool)).toEqual([...KEYS, "live"].toSorted());
  });

  test("spare the rows of dead letters whose keys have any length", async () => {
    const fixture = await prepared();
    await applyAll(
      fixture,
      0,
      [...KEYS, "gone"].map((key) => upsert(key, 1, "old")),
    );
    let offset = KEYS.length + 1;
    const table = { schema: fixture.schema, table: "mine" };
    // A key that no table takes can have a dead letter, too.
    for (const key of [...KEYS, randomBytes(100_000).toString("base64")]) {
      const stretch = { ...home, table, expectedOffset: BigInt(offset), nextOffset: BigInt(++offset) };
      expect(await fixture.sink.skip(stretch, upsert(key, 5, "refused"))).toBe("applied");
    }
    await applyAll(fixture, offset, [truncate(4)]);
    expect(await rowsOf(fixture.pool)).toEqual(KEYS.toSorted());
  });
});

describe("what version 0.1.0 stored", () => {
  test("is known by its key afterwards, whatever the key's length, and new rows are limited", async () => {
    const fixture = await freshSink();
    const { pool, schema, sink } = fixture;
    await createTablesOf010(fixture);
    await pool.query(`INSERT INTO tombstones SELECT $1, key, 3, now() FROM unnest($2::text[]) AS key`, [
      `"${schema}"."mine"`,
      KEYS,
    ]);
    await sink.readProgress([home]);
    await applyAll(
      fixture,
      0,
      [...KEYS, "live"].map((key) => upsert(key, 2, "late")),
    );
    expect(await rowsOf(pool)).toEqual(["live"]);
    const { rows } = await pool.query(
      "SELECT count(*)::int AS count, max(octet_length(key)) AS longest FROM tombstones",
    );
    expect(rows).toEqual([{ count: KEYS.length, longest: 1_000 }]);
    await expect(pool.query("INSERT INTO unapplied VALUES ('', $1, 1)", ["x".repeat(1_001)])).rejects.toThrow(
      "stored_key",
    );
  });

  test("is migrated once, by several processes at a time", async () => {
    const fixture = await freshSink();
    await createTablesOf010(fixture);
    await fixture.pool.query(`INSERT INTO unapplied SELECT '"s"."t"', key, 3 FROM unnest($1::text[]) AS key`, [KEYS]);
    const sinks = Array.from({ length: 5 }, () => fixture.openSink());
    await Promise.all(sinks.map((sink) => sink.readProgress([home])));
    const { rows } = await fixture.pool.query("SELECT key FROM unapplied WHERE starts_with(key, 'sha256:')");
    // Digests of digests would be other keys.
    await fixture.openSink().readProgress([home]);
    expect((await fixture.pool.query("SELECT key FROM unapplied WHERE starts_with(key, 'sha256:')")).rows).toEqual(
      rows,
    );
    expect(rows).toHaveLength(5);
  });

  test("of another owner is refused, with the statements for the owner", async () => {
    const { schema, pool } = await freshPostgresSchema();
    await createTablesOf010({ schema, pool });
    const { name, url } = await freshPostgresUser();
    await pool.query(`GRANT USAGE, CREATE ON SCHEMA "${schema}" TO ${name};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${schema}" TO ${name}`);
    const prepare = () => new PostgresTables(openClient({ url }), schema).prepareInternal();
    const failure = await prepare().catch((error: unknown) => error as HeadraceError);
    expect(failure).toMatchObject({ code: "POSTGRES_RIGHTS_MISSING", kind: "fatal" });
    await pool.query(/run: (BEGIN;.*COMMIT;)$/.exec(failure?.remedy ?? "")?.[1] ?? "");
    await prepare();
  });
});
