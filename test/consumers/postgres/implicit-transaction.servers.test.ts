// What is sent without a BEGIN is one transaction all the same.
import { afterEach, expect, test } from "vitest";
import type { Query } from "../../../src/consumers/postgres/session.ts";
import { servers, uniqueName } from "../../support/servers.ts";
import { openClient } from "./fixture.ts";

const tables: string[] = [];

afterEach(async () => {
  for (const table of tables.splice(0)) await openClient().run({ text: `DROP TABLE ${table}` });
});

/** A client of one connection and a new table, with queries on it that are prepared by name. */
async function freshTable(url = servers().postgresUrl) {
  const table = uniqueName("implicit").replaceAll("-", "_");
  const client = openClient({ url, connections: 1 });
  await client.run({ text: `CREATE TABLE ${table} (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)` });
  tables.push(table);
  return {
    insert: (n: unknown): Query => ({ name: "put", text: `INSERT INTO ${table} VALUES ($1)`, values: [n] }),
    double: { name: "double", text: `UPDATE ${table} SET n = n * 2` },
    impossible: { name: "none", text: `SELECT nothing FROM ${table}` },
    transact: (...queries: readonly Query[]) => client.session((session) => session.transact(...queries)),
    rows: async () => {
      const [found] = await client.run({ text: `SELECT n FROM ${table} ORDER BY n` });
      return found?.rows.map(({ n }) => n);
    },
  };
}

test("all queries are committed, with parameters of every kind", async () => {
  const { transact, insert, double, rows } = await freshTable();
  await transact(insert("1"), insert(2), double, insert(null));
  await transact(insert(5), double);
  expect(await rows()).toEqual([4, 8, 10, null]);
  await transact({ text: "SELECT $1::bytea, $2::boolean", values: [Buffer.from("x"), true] });
});

test("where one query fails, nothing is committed, and its connection knows what it has prepared", async () => {
  const { transact, insert, double, impossible, rows } = await freshTable();
  await expect(transact(insert(1), impossible, double)).rejects.toThrow(/42703/);
  await expect(transact(impossible)).rejects.toThrow(/42703/);
  await transact(insert(2), double);
  await expect(transact(double, insert("x"))).rejects.toThrow(/22P02/);
  expect(await rows()).toEqual([4]);
});

test("what fails only at the commit is an error", async () => {
  const { transact, insert, rows } = await freshTable();
  await expect(transact(insert(1), insert(1))).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
  expect(await rows()).toEqual([]);
});

test("a parameter that has no text sends nothing", async () => {
  const { transact, insert, rows } = await freshTable();
  await expect(transact(insert(1), insert({}))).rejects.toThrow();
  await transact(insert(3));
  expect(await rows()).toEqual([3]);
});
