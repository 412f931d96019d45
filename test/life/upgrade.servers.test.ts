// A pipeline of version 0.1.0: no register, no Kafka ids, no mapping and no database in its position.
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { kafkaSessions } from "../../src/producers/kafka/session.ts";
import { BatchLimits } from "../../src/producers/records/batch-limits.ts";
import { truncateKeyDefinition, type AvroRecord } from "../../src/schemas/mapping/envelope.ts";
import { longColumns } from "../../src/schemas/mapping/registered-columns.ts";
import { createSchemaRegistry } from "../../src/schemas/registry/registry.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { silentLogger } from "../producers/mongodb/source-collector.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { OLD_TYPES, oldKeySchema, oldValueSchema } from "../support/schemas-of-0-1-0.ts";
import { servers } from "../support/servers.ts";
import {
  expectRefused,
  idsIn,
  insertThings,
  INTEGER_IDS,
  runOnce,
  runUntilEqual,
  thingsOf,
  watermarkOf,
} from "./things.ts";

/** A pipeline that has copied the things 1 to 5, with its state as version 0.1.0 stores it. */
async function oldPipeline(): Promise<Pipeline> {
  const pipeline = await freshPipeline({ collections: INTEGER_IDS });
  await insertThings(pipeline, 1, 5);
  await runUntilEqual(pipeline);
  const { name, pool } = pipeline;
  await pool.query("DELETE FROM headrace.tables WHERE pipeline = $1", [name]);
  const session = await kafkaSessions({
    kafka: connectKafka(),
    name,
    watch: null,
    makeRecords: async () => [],
    limits: new BatchLimits(),
    messageLimits: async () => new Map(),
    instance: { id: randomUUID(), startedAtMs: Date.now() },
    logger: silentLogger,
  })({ signal: AbortSignal.timeout(60_000) });
  const { position } = session;
  if (position === null) throw new Error("the pipeline has no position");
  const { database: _database, identities: _identities, leftOut: _leftOut, ...old } = position;
  await session.publish({ events: [], position: old });
  await session.close();
  return pipeline;
}

test("with the schemas that version 0.1.0 registered it goes on", async () => {
  const types = { name: "text", n: "integer", price: "numeric(10,2)", day: "date", days: "date[]" };
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer", columns: types } } });
  const topic = topicOf(pipeline.name, pipeline.db.databaseName, "things");
  const registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });
  const { text: name, integer: n, numeric: price, date: day, dates: days } = OLD_TYPES;
  const columns = { name, n, price, day, days };
  const old = oldValueSchema(topic, "integer", columns) as AvroRecord;
  const key = oldKeySchema(topic, "integer") as AvroRecord;
  await registry.register(`${topic}-key`, key);
  // Builds after 0.1.0 registered this, too. Since then the registry refuses every new schema of documents' keys.
  await registry.register(`${topic}-key`, truncateKeyDefinition(key));
  await registry.register(`${topic}-value`, old);
  const at = (date: number): Date => new Date(Date.UTC(2024, 1, date));
  const things = pipeline.db.collection<{ _id: number; [field: string]: unknown }>("things");
  await things.insertMany([
    { _id: 1, name: "a", n: 1, price: 1.5, day: at(29), days: [at(1), null, new Date(0)] },
    { _id: 2, day: new Date(Date.UTC(-4000, 0, 1)) },
  ]);
  for (const command of ["check", "run"]) {
    const { exitCode, stderr } = await pipeline.run(command, ...(command === "run" ? ["--once"] : []));
    expect(exitCode, stderr).toBe(0);
  }
  await things.deleteOne({ _id: 2 });
  await runUntilEqual(pipeline);
  const latest = await registry.latest(`${topic}-value`);
  expect(latest?.definition).not.toEqual(old);
  // The registry would refuse ints.
  expect(longColumns(latest?.definition)).toEqual(new Set(["n", "day", "days"]));
  expect(await idsIn(pipeline)).toEqual([1]);
});

test("it goes on without copying anything again, and its tables are registered", async () => {
  const pipeline = await oldPipeline();
  const watermark = await watermarkOf(pipeline);
  await insertThings(pipeline, 6, 7);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).not.toContain("copied");
  await runUntilEqual(pipeline);
  expect(await watermarkOf(pipeline)).toBeGreaterThan(watermark ?? 0n);
  const { rows } = await pipeline.pool.query(
    "SELECT collection, topic_id IS NOT NULL AS has_id, table_oid = to_regclass(relation) AS is_same, copy_signal FROM headrace.tables WHERE pipeline = $1",
    [pipeline.name],
  );
  expect(rows).toEqual([{ collection: "things", has_id: true, is_same: true, copy_signal: null }]);
});

test("its table is its own: another name is refused after the upgrade", async () => {
  const pipeline = await oldPipeline();
  await runOnce(pipeline);
  const other = await pipeline.reconfigured({ name: `${pipeline.name}_2` });
  await expectRefused(other, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
});

test("another table in the config is noticed with the upgrade itself", async () => {
  const pipeline = await oldPipeline();
  await thingsOf(pipeline).deleteOne({ _id: 5 });
  const renamed = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "new_things" } } });
  await runUntilEqual(renamed);
  expect(await idsIn(pipeline, "new_things")).toEqual([1, 2, 3, 4]);
});
