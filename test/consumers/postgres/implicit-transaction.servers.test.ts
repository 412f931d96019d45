// What is sent without a BEGIN is one transaction all the same.
import { afterEach, expect, test } from "vitest";
import type { Query } from "../../../src/consumers/postgres/session.ts";
import { uniqueName } from "../../support/servers.ts";
import { behindProxy, openClient, urlWith } from "./fixture.ts";

const tables: string[] = [];

afterEach(async () => {
  for (const table of tables.splice(0)) await openClient().run({ text: `DROP TABLE ${table}` });
});

/** A client of one connection and a new table, with queries on it that are prepared by name. */
async function freshTable(client = openClient({ connections: 1 })) {
  const table = uniqueName("implicit").replaceAll("-", "_");
  await client.run({ text: `CREATE TABLE ${table} (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)` });
  tables.push(table);
  return {
    table,
    client,
    insert: (n: unknown): Query => ({ name: "put", text: `INSERT INTO ${table} VALUES ($1)`, values: [n] }),
    double: { name: "double", text: `UPDATE ${table} SET n = n * 2` },
    impossible: { name: "none", text: `SELECT nothing FROM ${table}` },
    transact: (conditions: readonly Query[], writes: readonly Query[] = []) =>
      client.session((session) => session.transact({ conditions, writes })),
    rows: async () => {
      const [found] = await openClient().run({ text: `SELECT n FROM ${table} ORDER BY n` });
      return found?.rows.map(({ n }) => n);
    },
  };
}

test("all queries are committed in order, with parameters of every kind", async () => {
  const { transact, insert, double, rows } = await freshTable();
  await transact([insert("1"), insert(2)], [double, insert(null)]);
  await transact([insert(5)], [double]);
  expect(await rows()).toEqual([4, 8, 10, null]);
  await transact([{ text: "SELECT $1::bytea, $2::boolean", values: [Buffer.from("x"), true] }]);
});

test("where one query fails, nothing is committed, and its connection knows what it has prepared", async () => {
  const { transact, insert, double, impossible, rows } = await freshTable();
  await expect(transact([insert(1), impossible], [double])).rejects.toThrow(/42703/);
  await expect(transact([impossible])).rejects.toThrow(/42703/);
  await transact([insert(2)], [double]);
  await expect(transact([double], [insert("x")])).rejects.toThrow(/22P02/);
  await expect(transact([insert(7)], [impossible])).rejects.toThrow(/42703/);
  await transact([double]);
  expect(await rows()).toEqual([8]);
});

test("a statement of which a rule left nothing writes again when the rule is gone", async () => {
  const { table, client, transact, insert, impossible, rows } = await freshTable();
  await transact([insert(1)], [insert(2)]);
  await client.run({ text: `CREATE RULE nothing AS ON INSERT TO ${table} DO INSTEAD NOTHING` });
  await expect(transact([impossible], [insert(3)])).rejects.toThrow(/42703/);
  await client.run({ text: `DROP RULE nothing ON ${table}` });
  await transact([], [insert(4)]);
  expect(await rows()).toEqual([1, 2, 4]);
});

test("what fails only at the commit is an error", async () => {
  const { transact, insert, rows } = await freshTable();
  await expect(transact([insert(1)], [insert(1)])).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
  expect(await rows()).toEqual([]);
});

test("a parameter that has no text sends nothing", async () => {
  const { transact, insert, rows } = await freshTable();
  await expect(transact([insert(1)], [insert({})])).rejects.toThrow();
  await transact([insert(3)]);
  expect(await rows()).toEqual([3]);
});

test("a write sees what was committed while a condition waited for its lock", async () => {
  const { table, transact, rows } = await freshTable();
  await openClient().run({ text: `INSERT INTO ${table} VALUES (1)` });
  const lock = { text: `UPDATE ${table} SET n = n WHERE n = 1` };
  const copy = { text: `INSERT INTO ${table} SELECT n + 10 FROM ${table}` };
  await openClient().session(async (holder) => {
    await holder.run({ text: "BEGIN" }, lock, { text: `INSERT INTO ${table} VALUES (2)` });
    const waiting = transact([lock], [copy]);
    await expect
      .poll(async () => {
        const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${table}%'`;
        return (await openClient().run({ text: waits }))[0]?.rowCount;
      })
      .toBe(1);
    await holder.commit();
    await waiting;
  });
  expect(await rows()).toEqual([1, 2, 11, 12]);
});

test("a client that stops in the middle of its rows holds no lock", async () => {
  const { table, rows } = await freshTable();
  await openClient().run({ text: `INSERT INTO ${table} VALUES (1)` });
  let sent = 0;
  const { client, proxy } = await behindProxy(() => ({
    // The first 100 KB of the rows pass.
    request: (chunk) => {
      const passed = sent > 100_000 ? Buffer.alloc(0) : chunk;
      sent += chunk.length > 10_000 ? chunk.length : 0;
      return passed;
    },
    response: (chunk) => chunk,
  }));
  const lock = { text: `UPDATE ${table} SET n = n + 1` };
  const rowsOf = (bytes: number): Query => ({
    text: `INSERT INTO ${table} SELECT length($1::text)`,
    values: ["x".repeat(bytes)],
  });
  await client.session((session) => session.transact({ conditions: [lock], writes: [rowsOf(10)] }));
  const stuck = client.session((session) => session.transact({ conditions: [lock], writes: [rowsOf(4_000_000)] }));
  stuck.catch(() => {});
  await expect.poll(() => sent).toBeGreaterThan(1_000_000);
  await openClient({ statementTimeoutMs: 5_000 }).run(lock);
  expect(await rows()).toEqual([3, 11]);
  proxy.cut();
  await expect(stuck).rejects.toMatchObject({ code: "POSTGRES_UNAVAILABLE" });
});

test("query_timeout in the address does not end a connection that has answered", async () => {
  const url = urlWith((each) => each.searchParams.set("query_timeout", "300"));
  const { client, transact, insert } = await freshTable(openClient({ url, connections: 1 }));
  const pid = async () => (await client.run({ text: "SELECT pg_backend_pid() AS pid" }))[0]?.rows[0]?.["pid"];
  const before = await pid();
  await transact([insert(1)]);
  await client.run({ text: "SELECT pg_sleep(0.2)" });
  await client.run({ text: "SELECT pg_sleep(0.2)" });
  expect(await pid()).toBe(before);
});
