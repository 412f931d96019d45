import { randomBytes } from "node:crypto";
import { escapeIdentifier } from "pg";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import type { MicroBatch, TableName } from "../../../src/consumers/ports.ts";
import { INTERNAL_TABLE_NAMES } from "../../../src/consumers/postgres/internal-tables.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { HeadraceError } from "../../../src/errors/error.ts";
import type { RowSchema } from "../../../src/schemas/row-schema.ts";
import { servers, uniqueName } from "../../support/servers.ts";
import { batchAt, deletion, freshSink, onePartition, openClient, textSchema, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

/** The error that `work` fails with. */
async function failureOf(work: Promise<unknown>): Promise<HeadraceError> {
  return await work.then(
    () => expect.unreachable("it should fail"),
    (error: unknown) => error as HeadraceError,
  );
}

/** The SQL that a remedy prints, exactly as printed. */
function printedSql({ remedy }: HeadraceError): string {
  return /\b[Rr]un: (.*;)/.exec(remedy)?.[1] ?? "";
}

/** A sink beside a table that somebody has made before. */
async function beside(definition: string): Promise<SinkFixture & { table: TableName }> {
  const fixture = await freshSink();
  await fixture.sink.readProgress([{ topic: "t", partition: 0 }]);
  await fixture.pool.query(definition);
  return { ...fixture, table: { schema: fixture.schema, table: "mine" } };
}

describe("a table that exists and fits", () => {
  test("is used unchanged, and columns that no record fills stay as they are", async () => {
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

  test("gets a version column if it has none; rows without a version are older than every change", async () => {
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

  test("gets a column's default where the record's schema lacks a column that other records filled", async () => {
    const { pool, sink, table } = await beside(
      `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text, price integer NOT NULL DEFAULT 7)`,
    );
    const priced: RowSchema = {
      idType: "string",
      children: [],
      columns: [...textSchema.columns, { name: "price", sqlType: "integer" }],
    };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1", priced)]));
    await sink.apply(batchAt(1, table, [upsert("a", 2, "2"), upsert("b", 2, "2")]));
    expect((await pool.query("SELECT _id, price FROM mine ORDER BY _id")).rows).toEqual([
      { _id: "a", price: 7 },
      { _id: "b", price: 7 },
    ]);
  });

  // It got the column back until now, NULL in all rows that no later change touched.
  test("is refused when a column was dropped that records have filled", async () => {
    const { pool, sink, table } = await beside("SELECT 1");
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await pool.query("ALTER TABLE mine DROP COLUMN value");
    const refused = sink.apply(batchAt(1, table, [upsert("a", 2, "2")]));
    await expect(refused).rejects.toMatchObject({
      code: "COLUMN_DROPPED",
      message: expect.stringContaining('"value"'),
    });
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
  ])("is refused with a remedy: %s", async (_, columns, problem) => {
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

  test.each([
    ["id bigint PRIMARY KEY DEFAULT 1", "ADD UNIQUE"],
    ["id bigint", "ADD PRIMARY KEY"],
  ])("fits after the remedy where _id has no unique index: %s", async (column, remedy) => {
    const { pool, sink, table } = await beside(
      `CREATE TABLE mine ("_id" text, _version bigint, value text, ${column})`,
    );
    const apply = () => sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const sql = printedSql(await failureOf(apply()));
    expect(sql).toContain(remedy);
    await pool.query(sql);
    expect(await apply()).toBe("applied");
  });

  test.each([/run one of these: (ALTER ROLE .*?;)/, /or: (ALTER TABLE .*?;)/])(
    "fits after the remedy where row-level security hides rows: %s",
    async (printed) => {
      const { schema, pool, table } = await beside(
        `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text)`,
      );
      const role = await createRole(pool, schema);
      await pool.query(`GRANT ALL ON mine TO ${role.name}; ALTER TABLE mine ENABLE ROW LEVEL SECURITY`);
      const apply = () => role.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
      const failure = await failureOf(apply());
      expect(failure).toMatchObject({ code: "TABLE_DOES_NOT_FIT" });
      expect(failure.message).toContain("row-level security");
      await pool.query(printed.exec(failure.remedy)?.[1] ?? "");
      expect(await apply()).toBe("applied");
      await role.drop();
    },
  );

  test("is refused when row-level security is enabled while it is written to", async () => {
    const { schema, pool, table } = await beside(
      `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text)`,
    );
    const role = await createRole(pool, schema);
    await pool.query(`GRANT ALL ON mine TO ${role.name}`);
    await role.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await pool.query("ALTER TABLE mine ENABLE ROW LEVEL SECURITY");
    const deleted = role.sink.apply(batchAt(1, table, [deletion("a", 2)]));
    await expect(deleted).rejects.toMatchObject({ code: "TABLE_DOES_NOT_FIT" });
    await expect(deleted).rejects.toThrow("row-level security");

    // The owner is exempt, until it is forced.
    await pool.query(`ALTER TABLE mine OWNER TO ${role.name}`);
    await role.sink.apply(batchAt(1, table, [upsert("a", 2, "2")]));
    await pool.query("ALTER TABLE mine FORCE ROW LEVEL SECURITY");
    await expect(role.sink.apply(batchAt(2, table, [deletion("a", 3)]))).rejects.toThrow("row-level security");
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

  test("is refused with all problems at once", async () => {
    const { sink, table } = await beside("CREATE TABLE mine (value jsonb, must integer NOT NULL)");
    const refused = sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await expect(refused).rejects.toThrow(/"must".*"_id".*"value"/s);
  });
});

interface Role {
  readonly name: string;
  readonly sink: PostgresSink;
  readonly openSink: () => PostgresSink;
  drop(): Promise<void>;
}

/** A user who may use the schema with Headrace's own tables in it, and nothing else. */
async function createRole(pool: Pool, schema: string, internalSchema = schema): Promise<Role> {
  const name = uniqueName("role");
  const password = randomBytes(8).toString("hex");
  await pool.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'; GRANT USAGE ON SCHEMA ${schema} TO ${name};
    GRANT ALL ON ${INTERNAL_TABLE_NAMES.join(", ")} TO ${name}`);
  const url = new URL(servers().postgresUrl);
  url.username = name;
  url.password = password;
  const openSink = () =>
    new PostgresSink(openClient({ url: url.href }), { internalSchema, partitionsOf: onePartition });
  return {
    name,
    sink: openSink(),
    openSink,
    drop: async () => {
      await pool.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    },
  };
}

describe("a user without rights", () => {
  test("can write after the table's owner has run the remedy", async () => {
    const { schema, pool, table } = await beside(
      `CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text)`,
    );
    const role = await createRole(pool, schema);
    const wider: RowSchema = {
      idType: "string",
      children: [],
      columns: [...textSchema.columns, { name: "price", sqlType: "integer" }],
    };
    const elsewhere = uniqueName("else where");
    const batches: [string, MicroBatch][] = [
      ["may not write to", batchAt(0, table, [upsert("a", 1, "1")])],
      ["may not extend the table", batchAt(1, table, [upsert("a", 2, "2", wider)])],
      ["may not create tables in the schema", batchAt(2, { schema, table: "other" }, [upsert("a", 2, "2")])],
      ["may not create the schema", batchAt(3, { schema: elsewhere, table: "t" }, [upsert("a", 2, "2")])],
    ];
    try {
      for (const [problem, batch] of batches) {
        const failure = await failureOf(role.sink.apply(batch));
        expect(failure).toMatchObject({ code: "TABLE_NOT_OWNED", kind: "fatal" });
        expect(failure.message).toContain(problem);
        await pool.query(printedSql(failure));
        expect(await role.sink.apply(batch), problem).toBe("applied");
      }
    } finally {
      await pool.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(elsewhere)} CASCADE`);
      await role.drop();
    }
  });

  test("can use Headrace's own tables after the schema's owner has run the remedy", async () => {
    const { schema, pool } = await beside("SELECT 1");
    const role = await createRole(pool, schema);
    const refused = async (): Promise<HeadraceError> => {
      const failure = await failureOf(role.sink.readProgress([]));
      expect(failure).toMatchObject({ code: "POSTGRES_RIGHTS_MISSING", kind: "fatal" });
      return failure;
    };
    await pool.query(`REVOKE ALL ON progress FROM ${role.name}`);
    await pool.query(printedSql(await refused()));
    expect(await role.sink.readProgress([])).toEqual(new Map());

    await pool.query("DROP TABLE columns");
    const started = role.openSink();
    const failure = await failureOf(started.readProgress([]));
    expect(failure).toMatchObject({ code: "POSTGRES_RIGHTS_MISSING" });
    const found = async () =>
      (await pool.query(`SELECT to_regclass('${escapeIdentifier(schema)}.columns') AS found`)).rows;
    expect(await found()).toEqual([{ found: null }]);
    await pool.query(printedSql(failure));
    expect(await started.readProgress([])).toEqual(new Map());
    await role.drop();
  });

  test("can create Headrace's own schema after a superuser has run the remedy", async () => {
    const { schema, pool } = await beside("SELECT 1");
    const internalSchema = uniqueName("own schema");
    const role = await createRole(pool, schema, internalSchema);
    try {
      const failure = await failureOf(role.sink.readProgress([]));
      expect(failure.message).toContain("may not create");
      await pool.query(printedSql(failure));
      expect(await role.sink.readProgress([])).toEqual(new Map());
    } finally {
      await pool.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(internalSchema)} CASCADE`);
      await role.drop();
    }
  });
});
