import { expect, test } from "vitest";
import { freshPostgresUser } from "../support/servers.ts";
import { freshCollection } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";
import { until } from "./kafka/reader.ts";

const fixture = useKafka();

test("the consumer continues when PostgreSQL is no longer read-only, although open sessions keep their mode", async () => {
  const collection = await freshCollection(fixture);
  const { pool } = collection;
  const user = await freshPostgresUser();
  await pool.query(
    `DO $$ BEGIN EXECUTE format('GRANT %I TO ${user.name}', current_user); END $$;
    ALTER ROLE ${user.name} SET default_transaction_read_only = on`,
  );
  await collection.publish([{ id: "a", version: 1, document: { name: "a", price: 1 } }]);
  const consumer = collection.start({ sink: collection.openSink({ url: user.url }) });
  const refusals = () =>
    consumer.lines.filter(
      ({ fields }) => (fields["err"] as { code?: unknown } | undefined)?.code === "POSTGRES_READ_ONLY",
    );
  await until(() => expect(refusals().length).toBeGreaterThan(0));
  await pool.query(`ALTER ROLE ${user.name} RESET default_transaction_read_only`);
  await until(async () => expect(await collection.rows()).toMatchObject({ a: { price: 1 } }));
});
