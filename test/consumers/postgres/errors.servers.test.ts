import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { sqlStateOf } from "../../../src/consumers/postgres/errors.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import type { RowSchema } from "../../../src/schemas/row-schema.ts";
import { freshPostgresSchema, freshPostgresUser, uniqueName } from "../../support/servers.ts";
import { batchAt, deletion, freshSink, openClient, upsert } from "./fixture.ts";

/** Stands for a document's value: it must not get into errors. */
const secret = "tuna-sandwich";

async function failureOf(work: Promise<unknown>): Promise<HeadraceError> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(HeadraceError);
  expect(inspect(failure, { depth: 10 })).not.toContain(secret);
  return failure as HeadraceError;
}

describe("an error of PostgreSQL is classified by its SQLSTATE", () => {
  const client = openClient();

  test.each([
    ["08000", "retryable"],
    ["08006", "retryable"],
    ["40001", "retryable"],
    ["40P01", "retryable"],
    ["53100", "retryable"],
    ["53300", "retryable"],
    ["55P03", "retryable"],
    ["57P01", "retryable"],
    ["57P03", "retryable"],
    ["57014", "retryable"],
    ["25006", "retryable"],
    ["25P03", "retryable"],
    ["22001", "poison"],
    ["22P02", "poison"],
    ["23502", "poison"],
    ["23503", "poison"],
    ["23505", "poison"],
    ["23514", "poison"],
    ["44000", "poison"],
    ["54000", "poison"],
    ["P0001", "poison"],
    ["P0002", "fatal"],
    ["0A000", "fatal"],
    ["28000", "fatal"],
    ["3D000", "fatal"],
    ["40002", "fatal"],
    ["42501", "fatal"],
    ["42601", "fatal"],
    ["42P01", "fatal"],
    ["55000", "fatal"],
    ["55006", "fatal"],
    ["57000", "fatal"],
    ["58030", "fatal"],
    ["XX000", "fatal"],
    ["ZZ123", "fatal"],
  ])("%s is %s, and its message holds no value of PostgreSQL's message", async (sqlstate, kind) => {
    const text = `DO $$ BEGIN RAISE EXCEPTION 'about ${secret}' USING ERRCODE = '${sqlstate}', DETAIL = '${secret}',
      HINT = '${secret}', TABLE = 'products', COLUMN = 'price', CONSTRAINT = 'positive'; END $$`;
    const failure = await failureOf(client.run({ text }));
    expect(failure).toMatchObject({
      kind,
      message: expect.stringContaining(sqlstate) as string,
      remedy: expect.stringMatching(/./) as string,
      details: { sqlstate, table: "products", column: "price", constraint: "positive" },
    });
    expect(failure.message).toContain('table "products", column "price", constraint "positive"');
  });
});

test.each(["57P01", "08006", "40001", "57014", "25006", "53300"])(
  "%s that a function raises reads as the function's, not as an outage of the server",
  async (sqlstate) => {
    const text = `DO $$ BEGIN RAISE EXCEPTION 'about ${secret}' USING ERRCODE = '${sqlstate}'; END $$`;
    expect(await failureOf(openClient().run({ text }))).toMatchObject({
      code: "TRIGGER_REFUSED",
      kind: "retryable",
      message: `PostgreSQL: ${sqlstate} (raised by a trigger).`,
      details: { raised: "true" },
    });
  },
);

test("42501 names the object in PostgreSQL's own words, but nothing that a function raises", async () => {
  const { schema, pool } = await freshPostgresSchema();
  const user = await freshPostgresUser();
  await pool.query(`CREATE TABLE "my table" (n integer, m integer); GRANT USAGE ON SCHEMA ${schema} TO ${user.name}`);
  const client = openClient({ url: user.url });
  const refused = async (text: string) => (await failureOf(client.run({ text }))).message.replace(/^[^:]*: 42501 /, "");
  expect(await refused(`SELECT FROM "${schema}"."my table"`)).toBe(
    "(insufficient privilege): permission denied for table my table.",
  );
  expect(await refused(`CREATE TABLE "${schema}".other ()`)).toBe(
    `(insufficient privilege): permission denied for schema ${schema}.`,
  );
  expect(await refused(`DROP TABLE "${schema}"."my table"`)).toBe(
    "(insufficient privilege): must be owner of table my table.",
  );
  expect(await refused(`DO $$ BEGIN RAISE EXCEPTION '${secret}' USING ERRCODE = '42501'; END $$`)).toBe(
    "(raised by a trigger).",
  );
});

test("42501 of a user who may not connect to the database, and one who may not create a schema, gives the GRANT", async () => {
  const { pool } = await freshPostgresSchema();
  const user = await freshPostgresUser();
  const database = uniqueName("My Data");
  await pool.query(`CREATE DATABASE "${database}"`);
  try {
    await pool.query(`REVOKE CONNECT ON DATABASE "${database}" FROM PUBLIC`);
    const url = Object.assign(new URL(user.url), { pathname: encodeURIComponent(database) }).href;
    for (const text of ["SELECT", "CREATE SCHEMA mine"]) {
      const client = openClient({ url });
      const failure = await failureOf(client.run({ text }));
      expect(failure.message).toMatch(new RegExp(`permission denied for database "?${database}"?\\.$`));
      const [, grant = ""] = /`(GRANT .*;)`/.exec(failure.remedy) ?? [];
      await pool.query(grant.replace("ROLE", user.name));
      await client.run({ text });
    }
  } finally {
    await pool.query(`DROP DATABASE "${database}" WITH (FORCE)`);
  }
});

describe("a row that a table refuses is poison", () => {
  const text: RowSchema = { idType: "string", children: [], columns: [{ name: "value", sqlType: "text" }] };
  const number: RowSchema = { idType: "string", children: [], columns: [{ name: "value", sqlType: "bigint" }] };

  test.each([
    ["22P02", `value bigint`, upsert("a", 1, secret, number)],
    ["22003", `value bigint`, upsert("a", 1, "9".repeat(30), number)],
    ["23502", `value text NOT NULL`, upsert("a", 1, null, text)],
    ["23503", `value text REFERENCES parents`, upsert("a", 1, secret, text)],
    ["23505", `value text UNIQUE`, upsert("b", 1, secret, text)],
    ["23514", `value text CHECK (value <> '${secret}')`, upsert("a", 1, secret, text)],
    ["23P01", `value text, EXCLUDE USING btree (value WITH =)`, upsert("b", 1, secret, text)],
    ["54000", `value text UNIQUE`, upsert("a", 1, randomText(9_000), text)],
    ["P0001", `value text`, upsert("refused", 1, secret, text)],
  ])("%s", async (sqlstate, columns, change) => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await pool.query(`
      CREATE TABLE parents (id text PRIMARY KEY);
      CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, ${columns});
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW._id = 'refused' THEN RAISE EXCEPTION 'not %', NEW.value; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION refuse()`);
    const needsOther = sqlstate === "23505" || sqlstate === "23P01";
    if (needsOther) await pool.query("INSERT INTO mine (_id, value) VALUES ('other', $1)", [secret]);
    const failure = await failureOf(sink.apply(batchAt(0, { schema, table: "mine" }, [change])));
    expect(failure).toMatchObject({ kind: "poison", details: { sqlstate } });
    expect((await pool.query("SELECT _id FROM mine WHERE _id <> 'other'")).rows).toEqual([]);
  });

  test("54000, a key that is too long for an index; its delete is applied", async () => {
    const { schema, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "mine" };
    const key = randomText(9_000);
    const failure = await failureOf(sink.apply(batchAt(0, table, [upsert(key, 1, "x")])));
    expect(failure).toMatchObject({ kind: "poison", code: "LIMIT_EXCEEDED", details: { sqlstate: "54000" } });
    expect(inspect(failure)).not.toContain(key.slice(0, 50));
    expect(await sink.apply(batchAt(0, table, [deletion(key, 2)]))).toBe("applied");
  });

  test("23503 of a constraint that PostgreSQL checks at COMMIT", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await pool.query(`CREATE TABLE parents (id text PRIMARY KEY);
      CREATE TABLE mine ("_id" text PRIMARY KEY, _version bigint, value text REFERENCES parents DEFERRABLE INITIALLY DEFERRED)`);
    const batch = batchAt(0, { schema, table: "mine" }, [upsert("a", 1, secret)]);
    const failure = await failureOf(sink.apply(batch));
    expect(failure).toMatchObject({ kind: "poison", details: { sqlstate: "23503" } });
    await pool.query("INSERT INTO parents VALUES ($1)", [secret]);
    expect(await sink.apply(batch)).toBe("applied");
  });
});

/** Long, and of no use to PostgreSQL's compression. */
function randomText(length: number): string {
  let seed = 1;
  const next = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  return Array.from({ length }, () => String.fromCodePoint(0x4e00 + (next() % 20_000))).join("");
}

describe("errors of a real server", () => {
  test("a read-only server is retryable", async () => {
    const client = openClient();
    const failure = await failureOf(client.run({ text: "BEGIN READ ONLY; CREATE TABLE x ()" }));
    expect(failure).toMatchObject({ kind: "retryable", code: "POSTGRES_READ_ONLY" });
    // The failed transaction was ended: the connection is of use again.
    expect(await client.run({ text: "SELECT 1 AS one" })).toMatchObject([{ rows: [{ one: 1 }] }]);
  });

  test("a statement that takes too long is retryable", async () => {
    const failure = await failureOf(openClient({ statementTimeoutMs: 100 }).run({ text: "SELECT pg_sleep(600)" }));
    expect(failure).toMatchObject({ kind: "retryable", code: "POSTGRES_TIMEOUT", details: { sqlstate: "57014" } });
  });

  test("a deadlock is retryable", async () => {
    const { schema, pool } = await freshPostgresSchema();
    await pool.query("CREATE TABLE pair (n integer PRIMARY KEY); INSERT INTO pair VALUES (1), (2)");
    const client = openClient();
    const held = Promise.withResolvers<void>();
    let holders = 0;
    const lock = (n: number) => ({ text: `SELECT FROM "${schema}".pair WHERE n = ${n} FOR UPDATE` });
    const both = (first: number, second: number) =>
      client.session(async (session) => {
        await session.run({ text: "BEGIN" }, lock(first));
        if (++holders === 2) held.resolve();
        await held.promise;
        await session.run(lock(second));
      });
    const results = await Promise.allSettled([both(1, 2), both(2, 1)]);
    const failed = results.filter((result) => result.status === "rejected");
    expect(failed.map(({ reason }) => sqlStateOf(reason))).toEqual(["40P01"]);
    expect(failed[0]?.reason).toMatchObject({ kind: "retryable" });
  });
});
