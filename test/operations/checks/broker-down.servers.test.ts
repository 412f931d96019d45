import { expect, test } from "vitest";
import { useKafkaCluster } from "../../support/own-kafka.ts";
import { freshPipeline } from "../../support/pipeline.ts";

const cluster = useKafkaCluster();

test("with one of three brokers down, check passes and everything starts, also a new pipeline", async () => {
  // The broker that will be down is the first to be asked.
  const brokers = cluster.brokers.toReversed().join(",");
  const settings = { kafka: { brokers, replicationFactor: 3 }, collections: { things: {} } };
  const pipeline = await freshPipeline(settings);
  const things = pipeline.db.collection<{ _id: string }>("things");
  await things.insertOne({ _id: "a" });
  const before = await pipeline.run("run", "--once");
  expect(before.exitCode, before.stderr).toBe(0);
  await cluster.crashLast();
  await things.insertOne({ _id: "b" });
  const checked = await pipeline.run("check");
  expect(checked.stdout).toContain("All checks passed.");
  const started = await pipeline.run("run", "--once");
  expect(started.exitCode, started.stderr).toBe(0);
  expect((await pipeline.pool.query("SELECT FROM things")).rowCount).toBe(2);
  const fresh = await freshPipeline(settings);
  await fresh.db.collection<{ _id: string }>("things").insertOne({ _id: "a" });
  const first = await fresh.run("run", "--once");
  expect(first.exitCode, first.stderr).toBe(0);
});
