// Rules (CREATE RULE) may leave rows out without an error; of others PostgreSQL refuses the statements that write rows.
import { expect, test } from "vitest";
import type { TableName } from "../../../src/consumers/ports.ts";
import { batchAt, deletion, freshSink, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

/** A sink whose table has the row `a`. */
async function filled(): Promise<SinkFixture & { table: TableName }> {
  const fixture = await freshSink();
  const table = { schema: fixture.schema, table: "mine" };
  await fixture.sink.readProgress([{ topic: "t", partition: 0 }]);
  await fixture.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
  await fixture.pool.query("CREATE TABLE log (key text)");
  return { ...fixture, table };
}

const REFUSED = [
  ["inserts", "ON INSERT TO mine DO INSTEAD NOTHING"],
  ["some inserts", "ON INSERT TO mine WHERE NEW._id = 'b' DO INSTEAD NOTHING"],
  ["updates", "ON UPDATE TO mine DO INSTEAD NOTHING"],
  ["deletes", "ON DELETE TO mine DO INSTEAD NOTHING"],
  ["some deletes", "ON DELETE TO mine WHERE OLD._id = 'a' DO INSTEAD NOTHING"],
  ["deletes, for something else", "ON DELETE TO mine DO INSTEAD INSERT INTO log VALUES (OLD._id)"],
  [
    "nothing, but that PostgreSQL cannot combine with an upsert",
    "ON INSERT TO mine DO ALSO INSERT INTO log VALUES (NEW._id)",
  ],
  [
    "nothing, but that PostgreSQL cannot combine with a delete",
    "ON DELETE TO mine DO ALSO INSERT INTO log VALUES (OLD._id)",
  ],
];

test.each(REFUSED)("a rule that leaves out %s is refused, and the remedy drops it", async (_, rule) => {
  const { pool, sink, openSink, table } = await filled();
  await pool.query(`CREATE RULE "my rule" AS ${rule}`);
  const batch = batchAt(1, table, [upsert("b", 2, "2"), deletion("a", 2)]);
  // The first sink has looked at the table before there was a rule.
  for (const each of [sink, openSink()]) {
    const refused = each.apply(batch);
    await expect(refused).rejects.toMatchObject({ code: "TABLE_DOES_NOT_FIT", kind: "fatal" });
    await expect(refused).rejects.toThrow(/rule "my rule"/);
  }
  const { remedy } = await sink.apply(batch).then(
    () => expect.unreachable("it should fail"),
    (error: unknown) => error as { remedy: string },
  );
  await pool.query(/\bRun: (.*?;)/.exec(remedy)?.[1] ?? "");
  expect(await sink.apply(batch)).toBe("applied");
  expect((await pool.query("SELECT _id FROM mine")).rows).toEqual([{ _id: "b" }]);
});

test("a rule that is disabled is refused only where PostgreSQL refuses upserts for it", async () => {
  const { pool, sink, openSink, table } = await filled();
  await pool.query(`CREATE RULE off AS ON INSERT TO mine DO INSTEAD NOTHING; ALTER TABLE mine DISABLE RULE off;
    CREATE RULE replica AS ON DELETE TO mine DO INSTEAD NOTHING; ALTER TABLE mine ENABLE REPLICA RULE replica`);
  expect(await sink.apply(batchAt(1, table, [upsert("b", 2, "2"), deletion("a", 2)]))).toBe("applied");
  expect(await openSink().apply(batchAt(3, table, [upsert("c", 3, "3")]))).toBe("applied");
  await pool.query(
    "CREATE RULE updates AS ON UPDATE TO mine DO INSTEAD NOTHING; ALTER TABLE mine DISABLE RULE updates",
  );
  await expect(sink.apply(batchAt(4, table, [upsert("d", 4, "4")]))).rejects.toThrow(/its rule "updates"/);
});

test("a rule of a partition is not refused, because PostgreSQL does not apply it to the table's rows", async () => {
  const { pool, sink, schema } = await freshSink();
  const table = { schema, table: "mine" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  await pool.query(`CREATE TABLE mine (_id text PRIMARY KEY, _version bigint, value text) PARTITION BY HASH (_id);
    CREATE TABLE mine_0 PARTITION OF mine FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE RULE inserts AS ON INSERT TO mine_0 DO INSTEAD NOTHING;
    CREATE RULE updates AS ON UPDATE TO mine_0 DO INSTEAD NOTHING;
    CREATE RULE deletes AS ON DELETE TO mine_0 DO INSTEAD NOTHING`);
  await sink.apply(batchAt(0, table, [upsert("a", 1, "1"), upsert("b", 1, "1")]));
  await sink.apply(batchAt(2, table, [upsert("a", 2, "2"), deletion("b", 2)]));
  expect((await pool.query("SELECT _id, value FROM mine")).rows).toEqual([{ _id: "a", value: "2" }]);
});
