import { describe, expect, test } from "vitest";
import { listDeadLetters } from "../../src/consumers/dead-letters/queries.ts";
import { freshCollection } from "./consumer-fixture.ts";
import type { Collection, TestEvent } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";
import { batchAt, freshSink, upsert } from "./postgres/fixture.ts";

const fixture = useKafka();

function named(id: string, version: number): TestEvent {
  return { id, version, document: { name: id, price: version } };
}

async function openLetters({ deadLetters }: Collection) {
  const letters = await listDeadLetters(deadLetters, {}, { signal: deadLetters.signal });
  return letters.map(({ origin, info }) => ({ offset: origin.offset, code: info.code, sqlstate: info.sqlstate }));
}

/** @param body what the trigger's function does about the row "bad" @param when BEFORE, or AFTER … DEFERRED */
async function collectionWithTrigger(body: string, when: "before" | "at COMMIT" = "before"): Promise<Collection> {
  const collection = await freshCollection(fixture);
  const trigger =
    when === "before"
      ? "TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON products"
      : "CONSTRAINT TRIGGER guard AFTER INSERT OR UPDATE OR DELETE ON products DEFERRABLE INITIALLY DEFERRED";
  await collection.pool.query(`
    CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text, price int, _extra jsonb);
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (CASE TG_OP WHEN 'DELETE' THEN OLD._id ELSE NEW._id END) = 'bad' THEN ${body} END IF;
      IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW;
    END $$;
    CREATE ${trigger} FOR EACH ROW EXECUTE FUNCTION guard()`);
  return collection;
}

/** A slice of eight records, "bad" among them, and two slices more. */
const EVENTS = ["a", "b", "c", "bad", "d", "e", "f", "g", "h", "i"].map((id, index) => named(id, index + 1));

async function expectOnlyBadRefused(collection: Collection, letter: { code: string; sqlstate: string }): Promise<void> {
  await collection.publish(EVENTS);
  await collection.consume({ limits: { maxRows: 8, maxBytes: 1_000_000 } });
  expect(Object.keys(await collection.rows())).toEqual(["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
  expect(await openLetters(collection)).toEqual([{ offset: 3n, ...letter }]);
}

describe("a trigger that refuses one row", () => {
  test.each([
    "ZZ001",
    "45000",
    "P0002",
    "0A000",
    "28000",
    "3D000",
    "42501",
    "42P01",
    "42710",
    "55000",
    "58030",
    "XX000",
  ])("with the SQLSTATE %s makes one dead letter, and the others are applied", async (sqlstate) => {
    const collection = await collectionWithTrigger(`RAISE EXCEPTION 'no' USING ERRCODE = '${sqlstate}';`);
    await expectOnlyBadRefused(collection, { code: "TRIGGER_REFUSED", sqlstate });
  });

  test("at COMMIT makes one dead letter, and the others are applied", async () => {
    const collection = await collectionWithTrigger("RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001';", "at COMMIT");
    await expectOnlyBadRefused(collection, { code: "TRIGGER_REFUSED", sqlstate: "ZZ001" });
  });

  test.each([
    ["reads a table that is missing", "42P01", "PERFORM FROM no_such_table;"],
    ["reads a column that is missing", "42703", "NEW.name := NEW.no_such_column;"],
    ["has no row to read", "P0002", "SELECT 1 INTO STRICT NEW.price WHERE false;"],
    ["asserts", "P0004", "ASSERT false;"],
    ["has a sub-query of several rows", "21000", "NEW.price := (SELECT 1 UNION ALL SELECT 2);"],
  ])("because its function %s makes one dead letter, and the others are applied", async (_, sqlstate, body) => {
    const collection = await collectionWithTrigger(body);
    await expectOnlyBadRefused(collection, { code: "ROW_REFUSED", sqlstate });
  });

  test.each(["40001", "57014", "53100", "08006", "57P01", "57P05", "58000", "25P03"])(
    "with the SQLSTATE %s, which passes elsewhere, is tried again first",
    async (sqlstate) => {
      const collection = await collectionWithTrigger(`RAISE EXCEPTION 'no' USING ERRCODE = '${sqlstate}';`);
      await collection.publish(EVENTS);
      const patience = { constraintPatienceMs: 0, schemaPatienceMs: 0, passingPatienceMs: 300 };
      await collection.consume({ patience });
      expect(Object.keys(await collection.rows())).toHaveLength(EVENTS.length - 1);
      expect(await openLetters(collection)).toEqual([{ offset: 3n, code: "TRIGGER_REFUSED", sqlstate }]);
    },
  );

  test("when it is deleted makes a dead letter of the delete", async () => {
    const body = "IF TG_OP = 'DELETE' THEN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001'; END IF;";
    const collection = await collectionWithTrigger(body);
    await collection.publish([named("bad", 1), named("a", 2), { id: "bad", version: 3 }, { id: "a", version: 4 }]);
    await collection.consume({ limits: { maxRows: 2, maxBytes: 1_000_000 } });
    expect(Object.keys(await collection.rows())).toEqual(["bad"]);
    expect(await openLetters(collection)).toEqual([{ offset: 2n, code: "TRIGGER_REFUSED", sqlstate: "ZZ001" }]);
  });
});

describe("the consumer stops, with nothing skipped, at", () => {
  test("a trigger that refuses every row: when the window is full", async () => {
    const collection = await collectionWithTrigger(
      "NULL; END IF; IF true THEN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001';",
    );
    await collection.publish(EVENTS);
    const consumer = collection.start({ deadLetterLimits: { max: 3, records: 100 } });
    await expect(consumer.running).rejects.toMatchObject({ code: "DEAD_LETTER_WINDOW", kind: "fatal" });
    expect(await openLetters(collection)).toHaveLength(3);
  });

  test("a table that refuses the statement itself", async () => {
    const collection = await collectionWithTrigger("NULL;");
    await collection.pool.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'closed' USING ERRCODE = 'ZZ001';
      END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON products FOR EACH STATEMENT EXECUTE FUNCTION refuse()`);
    await collection.publish(EVENTS);
    await expect(collection.start().running).rejects.toMatchObject({
      code: "POSTGRES_UNEXPECTED",
      details: { sqlstate: "ZZ001" },
    });
    expect(await openLetters(collection)).toEqual([]);
  });

  test.each([
    ["an enum", "CREATE TYPE products AS ENUM ('a')"],
    ["a domain", "CREATE DOMAIN products AS text"],
    ["a range", "CREATE TYPE products AS RANGE (subtype = integer)"],
    ["a composite type", "CREATE TYPE products AS (a integer)"],
  ])("%s that has the table's name", async (_, statement) => {
    const collection = await freshCollection(fixture);
    await collection.pool.query(statement);
    await collection.publish(EVENTS);
    const failure = await collection.start().running.catch((error: unknown) => error as { remedy: string });
    expect(failure).toMatchObject({ code: "TABLE_DOES_NOT_FIT", kind: "fatal" });
    expect(await openLetters(collection)).toEqual([]);
    const rename = /Run: (ALTER TYPE .*?);/.exec((failure as { remedy: string }).remedy)?.[1];
    await collection.pool.query(rename ?? "ALTER TYPE products RENAME TO another_name");
    await collection.consume();
    expect(Object.keys(await collection.rows())).toHaveLength(EVENTS.length);
  });

  test("a state that PostgreSQL gives for the table's creation again and again", async () => {
    const collection = await freshCollection(fixture);
    await collection.sink.readProgress([{ topic: collection.topic, partition: 0 }]);
    const { pool, schema } = collection;
    await pool.query(`CREATE FUNCTION no_products() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = '${schema}.products') THEN
          RAISE EXCEPTION 'no' USING ERRCODE = '42710'; END IF; END $$;
      CREATE EVENT TRIGGER ${schema} ON ddl_command_end EXECUTE FUNCTION no_products()`);
    try {
      await collection.publish(EVENTS);
      const patience = { constraintPatienceMs: 0, schemaPatienceMs: 0, passingPatienceMs: 300 };
      await expect(collection.consume({ patience })).rejects.toMatchObject({
        code: "TABLE_DOES_NOT_FIT",
        kind: "fatal",
      });
    } finally {
      await pool.query(`DROP EVENT TRIGGER ${schema}`);
    }
  });
});

test("an array type that has the table's name is no obstacle: PostgreSQL renames it", async () => {
  const { pool, schema, sink } = await freshSink();
  await pool.query("CREATE TABLE something (a integer)");
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  expect(await sink.apply(batchAt(0, { schema, table: "_something" }, [upsert("a", 1, "x")]))).toBe("applied");
});
