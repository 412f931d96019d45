import { randomBytes } from "node:crypto";
import { escapeIdentifier } from "pg";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import type { TableName } from "../../../src/consumers/ports.ts";
import { INTERNAL_TABLE_NAMES } from "../../../src/consumers/postgres/internal-tables.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { RowSchema } from "../../../src/schemas/row-schema.ts";
import { servers, uniqueName } from "../../support/servers.ts";
import { batchAt, deletion, freshSink, onePartition, openClient, textSchema, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

/** A sink beside a table that somebody has made before. */
async function beside(definition: string): Promise<SinkFixture & { table: TableName }> {
  const fixture = await freshSink();
  await fixture.sink.readProgress([{ topic: "t", partition: 0 }]);
  await fixture.pool.query(definition);
  return { ...fixture, table: { schema: fixture.schema, table: "mine" } };
}

describe("a table that exists and fits", () => {
  test("is used as it is: nothing of it is changed, other columns are the user's", async () => {
    const { pool, sink, table } = await beside(`CREATE TABLE mine (
      note text DEFAULT 'from the user', "_id" varchar PRIMARY KEY, _version bigint, value text CHECK (value <> 'bad'))`);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await pool.query("UPDATE mine SET note = 'edited'");
    await sink.apply(batchAt(1, table, [upsert("a", 2, "2"), upsert("b", 2, "2")]));
    expect((await pool.query("SELECT * FROM mine ORDER BY _id")).rows).toEqual([
      { note: "edited", _id: "a", _version: "2", value: "2" },
      { note: "from the user", _id: "b", _version: "2", value: "2" },
    ]);
  });

  test("gets a version where it has none, and rows without one count as oldest", async () => {
    const { pool, sink, table } = await beside(`CREATE TABLE mine ("_id" text PRIMARY KEY, value text);
      INSERT INTO mine VALUES ('a', 'user'), ('b', 'user'), ('c', 'user'), ('d', 'user'), ('e', 'user')`);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1"), deletion("b", 1)]));
    const origin = { topic: "t", partition: 0, offset: 0n };
    expect(await sink.replay(origin, 1, table, upsert("c", 1, "replayed"))).toBe("replayed");
    expect(await sink.replay(origin, 1, table, deletion("d", 1))).toBe("replayed");
    expect((await pool.query("SELECT * FROM mine ORDER BY _id")).rows).toEqual([
      { _id: "a", _version: "1", value: "1" },
      { _id: "c", _version: "1", value: "replayed" },
      { _id: "e", _version: null, value: "user" },
    ]);
  });

  test("may be partitioned", async () => {
    const { pool, sink, table } = await beside(`
      CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text) PARTITION BY HASH ("_id");
      CREATE TABLE mine_0 PARTITION OF mine FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE mine_1 PARTITION OF mine FOR VALUES WITH (MODULUS 2, REMAINDER 1)`);
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
    await sink.apply(
      batchAt(
        0,
        table,
        keys.map((key) => upsert(key, 1, "1")),
      ),
    );
    await sink.apply(batchAt(20, table, [upsert("k1", 2, "2"), deletion("k2", 2)]));
    expect((await pool.query("SELECT count(*)::int, max(value) FROM mine")).rows).toEqual([{ count: 19, max: "2" }]);
  });

  test("may have columns of domains", async () => {
    const { pool, sink, table } = await beside(`CREATE DOMAIN short AS varchar CHECK (length(VALUE) < 5);
      CREATE TABLE mine ("_id" text PRIMARY KEY, value short)`);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await expect(sink.apply(batchAt(1, table, [upsert("a", 2, "too long")]))).rejects.toMatchObject({
      kind: "poison",
      details: { sqlstate: "23514" },
    });
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "1" }]);
  });

  test("keeps its columns' defaults where a record's schema lacks a column that others have filled", async () => {
    const { pool, sink, table } = await beside(
      `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text, price integer NOT NULL DEFAULT 7)`,
    );
    const priced: RowSchema = {
      idType: "string",
      columns: [...textSchema.columns, { name: "price", sqlType: "integer" }],
    };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1", priced)]));
    await sink.apply(batchAt(1, table, [upsert("a", 2, "2"), upsert("b", 2, "2")]));
    expect((await pool.query("SELECT _id, price FROM mine ORDER BY _id")).rows).toEqual([
      { _id: "a", price: 7 },
      { _id: "b", price: 7 },
    ]);
  });

  test("gets a column back that somebody dropped while the pipeline ran", async () => {
    const { pool, sink, table } = await beside("SELECT 1");
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await pool.query("ALTER TABLE mine DROP COLUMN value");
    expect(await sink.apply(batchAt(1, table, [upsert("a", 2, "2")]))).toBe("applied");
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });
});

describe("a table that does not fit", () => {
  test.each([
    ["the primary key is another column", `("_id" text, value text, id bigint PRIMARY KEY DEFAULT 1)`, '"_id" alone'],
    ["the unique index has a second column", `("_id" text, value text, UNIQUE ("_id", value))`, '"_id" alone'],
    ["the unique constraint is deferrable", `("_id" text UNIQUE DEFERRABLE, value text)`, '"_id" alone'],
    ["it has no _id", "(value text)", 'no column "_id"'],
    ["_id is another type", `("_id" bigint PRIMARY KEY, value text)`, '"_id" is bigint'],
    [
      "a column is narrower in a way that can't be widened",
      `("_id" text PRIMARY KEY, value jsonb)`,
      '"value" is jsonb',
    ],
    ["a column is an enum", `("_id" text PRIMARY KEY, value mood)`, '"value" is'],
    ["a column is generated", `("_id" text PRIMARY KEY, value text GENERATED ALWAYS AS ('x') STORED)`, "generated"],
    [
      "a column is required that no record fills",
      `("_id" text PRIMARY KEY, value text, must integer NOT NULL)`,
      '"must"',
    ],
    ["keys are compared without case", `("_id" text COLLATE nocase PRIMARY KEY, value text)`, "collation"],
  ])("is refused with what to do: %s", async (_, columns, problem) => {
    const { schema, pool, sink, table } = await beside(`
      CREATE TYPE mood AS ENUM ('good', 'bad');
      CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE mine ${columns}`);
    const columnsNow = () =>
      pool.query("SELECT * FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'mine'", [schema]);
    const before = await columnsNow();
    await expect(sink.apply(batchAt(0, table, [upsert("a", 1, "1")]))).rejects.toMatchObject({
      code: "TABLE_DOES_NOT_FIT",
      kind: "fatal",
      message: expect.stringContaining(problem) as string,
      remedy: expect.stringMatching(/./) as string,
    });
    const after = await columnsNow();
    expect(after.rows).toEqual(before.rows);
  });

  test("is refused where row-level security hides rows from Headrace", async () => {
    const { schema, pool, table } = await beside(`CREATE TABLE mine ("_id" text PRIMARY KEY, value text)`);
    const role = await createRole(pool, schema);
    await pool.query(`GRANT ALL ON mine TO ${role.name}; ALTER TABLE mine ENABLE ROW LEVEL SECURITY`);
    await expect(role.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]))).rejects.toMatchObject({
      code: "TABLE_DOES_NOT_FIT",
      message: expect.stringContaining("row-level security") as string,
    });
    await role.drop();
  });

  test.each(["VIEW mine AS SELECT 1 AS x", "MATERIALIZED VIEW mine AS SELECT 1 AS x", "SEQUENCE mine"])(
    "is refused where something else has its name: %s",
    async (thing) => {
      const { sink, table } = await beside(`CREATE ${thing}`);
      await expect(sink.apply(batchAt(0, table, [upsert("a", 1, "1")]))).rejects.toMatchObject({
        code: "TABLE_DOES_NOT_FIT",
        kind: "fatal",
      });
    },
  );

  test("is refused with all that is wrong at once", async () => {
    const { sink, table } = await beside("CREATE TABLE mine (value jsonb, must integer NOT NULL)");
    const refused = sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await expect(refused).rejects.toThrow(/"must".*"_id".*"value"/s);
  });
});

interface Role {
  readonly name: string;
  readonly sink: PostgresSink;
  drop(): Promise<void>;
}

/** A user who may use the schema with Headrace's own tables in it, and nothing else. */
async function createRole(pool: Pool, schema: string): Promise<Role> {
  const name = uniqueName("role");
  const password = randomBytes(8).toString("hex");
  await pool.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'; GRANT USAGE ON SCHEMA ${schema} TO ${name};
    GRANT ALL ON ${INTERNAL_TABLE_NAMES.join(", ")} TO ${name}`);
  const url = new URL(servers().postgresUrl);
  url.username = name;
  url.password = password;
  const sink = new PostgresSink(openClient({ url: url.href }), { internalSchema: schema, partitionsOf: onePartition });
  return {
    name,
    sink,
    drop: async () => {
      await pool.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    },
  };
}

describe("a user without rights", () => {
  test("is told what the owner of the table has to run", async () => {
    const { schema, pool, table } = await beside(
      `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text)`,
    );
    const role = await createRole(pool, schema);
    const apply = () => role.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const refused = (text: string) => ({
      code: "TABLE_NOT_OWNED",
      kind: "fatal",
      remedy: expect.stringContaining(text) as string,
    });

    await expect(apply()).rejects.toMatchObject(refused("GRANT SELECT, INSERT, UPDATE, DELETE ON"));
    await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON mine TO ${role.name}`);
    expect(await apply()).toBe("applied");

    const wider: RowSchema = {
      idType: "string",
      columns: [...textSchema.columns, { name: "price", sqlType: "integer" }],
    };
    await expect(role.sink.apply(batchAt(1, table, [upsert("a", 2, "2", wider)]))).rejects.toMatchObject(
      refused(`ALTER TABLE "${schema}"."mine" ADD COLUMN "price" integer`),
    );
    await expect(role.sink.apply(batchAt(1, { schema, table: "other" }, [upsert("a", 2, "2")]))).rejects.toMatchObject(
      refused(`CREATE TABLE "${schema}"."other"`),
    );
    await expect(
      role.sink.apply(batchAt(1, { schema: "elsewhere", table: "t" }, [upsert("a", 2, "2")])),
    ).rejects.toMatchObject({
      code: "TABLE_NOT_OWNED",
      message: expect.stringContaining('create the schema "elsewhere"') as string,
    });
    await role.drop();
  });

  test("is told about Headrace's own schema", async () => {
    const { schema, pool } = await beside("SELECT 1");
    const role = await createRole(pool, schema);
    await pool.query(`REVOKE ALL ON progress FROM ${role.name}`);
    await expect(role.sink.readProgress([])).rejects.toMatchObject({ code: "POSTGRES_RIGHTS_MISSING", kind: "fatal" });
    await pool.query(`GRANT ALL ON progress TO ${role.name}`);
    await pool.query("DROP TABLE columns");
    await expect(role.sink.readProgress([])).rejects.toMatchObject({ code: "POSTGRES_RIGHTS_MISSING" });
    expect((await pool.query(`SELECT to_regclass('${escapeIdentifier(schema)}.columns') AS found`)).rows).toEqual([
      { found: null },
    ]);
    await role.drop();
  });
});
