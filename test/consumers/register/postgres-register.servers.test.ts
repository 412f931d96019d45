import { expect, test } from "vitest";
import type { PostgresSession } from "../../../src/consumers/postgres/session.ts";
import { PostgresRegister } from "../../../src/consumers/register/postgres-register.ts";
import { uniqueName } from "../../support/servers.ts";
import { freshSink, openClient } from "../postgres/fixture.ts";

test("a table that is renamed away while the register looks at it is looked at again later, and ends nothing", async () => {
  const { pool, sink, schema } = await freshSink();
  await sink.prepareInternal();
  await pool.query("CREATE TABLE mine (_id text PRIMARY KEY)");
  const client = openClient();
  const session = client.session.bind(client);
  // Between the look at the table and the look at its rows.
  client.session = ((work: (session: PostgresSession) => Promise<unknown>, options: object) =>
    session((inner) => {
      const run = inner.run.bind(inner);
      inner.run = async (...queries) => {
        if (queries[0]?.text.startsWith("SELECT EXISTS") === true) await pool.query("ALTER TABLE mine RENAME TO other");
        return await run(...queries);
      };
      return work(inner);
    }, options)) as typeof client.session;
  const register = new PostgresRegister(client, schema, () => Promise.resolve());
  const source = { pipeline: uniqueName("pipeline"), database: "db", collection: "mine", topic: uniqueName("topic") };
  const wanted = { ...source, table: { schema, table: "mine" }, columns: [], children: [] };
  await expect(register.look([wanted])).rejects.toMatchObject({ code: "TABLE_CHANGED", kind: "retryable" });
  expect(await register.look([wanted])).toMatchObject([{ oid: null }]);
});
