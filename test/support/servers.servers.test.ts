import { expect, test } from "vitest";
import { freshMongoDatabase, freshPostgresSchema, servers, uniqueName } from "./servers.ts";

test("a fresh database sees its own changes in a change stream and allows transactions", async () => {
  const { client, db } = await freshMongoDatabase();
  await db.createCollection("things");
  const stream = db.watch();
  try {
    const next = stream.next();
    await client.withSession((session) =>
      session.withTransaction(async () => {
        await db.collection("things").insertOne({ a: 1 }, { session });
      }),
    );
    expect(await next).toMatchObject({ operationType: "insert", fullDocument: { a: 1 } });
  } finally {
    await stream.close();
  }
});

test("fail points can be set", async () => {
  const { client } = await freshMongoDatabase();
  const off = { configureFailPoint: "failCommand", mode: "off" };
  expect(await client.db("admin").command(off)).toMatchObject({ ok: 1 });
});

test("the pool of a fresh schema creates tables in that schema", async () => {
  const { pool, schema } = await freshPostgresSchema();
  await pool.query("CREATE TABLE things (a int)");
  const { rows } = await pool.query("SELECT schemaname FROM pg_tables WHERE tablename = 'things' AND schemaname = $1", [
    schema,
  ]);
  expect(rows).toEqual([{ schemaname: schema }]);
});

test("names are unique", () => {
  expect(uniqueName("a")).not.toBe(uniqueName("a"));
  expect(uniqueName("a")).toMatch(/^a_[0-9a-f]{12}$/);
});

test("the schema registry answers Confluent's API", async () => {
  const response = await fetch(`${servers().schemaRegistryUrl}/subjects`);
  expect(response.status).toBe(200);
  expect(await response.json()).toBeInstanceOf(Array);
});
