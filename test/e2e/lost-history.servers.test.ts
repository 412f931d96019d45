import { readFile, writeFile } from "node:fs/promises";
import type { Db, MongoClient } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Version } from "../../src/schemas/change-event.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { clusterTimeOf } from "../producers/mongodb/source-collector.ts";
import { auditViolations, createAuditedTables } from "../support/audit-trail.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { useRollingMongodb } from "../support/rolling-mongodb.ts";
import { uniqueName } from "../support/servers.ts";

const mongodb = useRollingMongodb();

async function write(writer: ModelWriter, steps: number): Promise<void> {
  for (let i = 0; i < steps; i++) await writer.step();
}

async function expectEqual(pipeline: Pipeline): Promise<void> {
  const verified = await pipeline.run("verify", "--json", "--wait", "120");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
}

/** Counts the rows of the keys repeatedly until the lowest count is requested. */
function watchRows({ pool }: Pipeline, keys: readonly string[]): () => Promise<number> {
  let lowest = Infinity;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const { rows } = await pool.query<{ count: string }>("SELECT count(*) FROM plain WHERE _id = ANY ($1)", [keys]);
      lowest = Math.min(lowest, Number(rows[0]?.count));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return lowest;
  };
}

/** A pipeline with one collection that is copied completely, and from then on the recorded states of its rows. */
async function setUp(client: MongoClient, uri: string, config: Record<string, Record<string, unknown>>) {
  const db = client.db(uniqueName("test"));
  onTestFinished(async () => {
    await db.dropDatabase();
  });
  const pipeline = await freshPipeline({
    ...config,
    mongodb: { uri, database: db.databaseName, ...config["mongodb"] },
    snapshot: { chunkDocuments: 50 },
    collections: { plain: {} },
  });
  await createAuditedTables(pipeline.pool, { plain: "doc jsonb" });
  const writer = new ModelWriter({
    client,
    db,
    random: seededRandom(printedSeed()),
    collections: ["plain"],
    keys: 300,
  });
  await write(writer, 600);
  const producer = pipeline.start("produce");
  const consumer = pipeline.start("consume");
  await expectEqual(pipeline);
  return { db, pipeline, writer, producer, consumer };
}

/** The keys of documents that have existed since then. */
function keysSince(writer: ModelWriter, before: readonly string[], since: Version): readonly string[] {
  const kept = before.filter((key) => !writer.history.vanishesAfter("plain", key, since));
  expect(kept.length).toBeLessThan(before.length);
  return kept;
}

async function expectNoStepBack({ pool }: Pipeline, { history }: ModelWriter): Promise<void> {
  const rowOf = (_table: string, key: string, fields: object) => ({ doc: { _id: key, ...fields } });
  expect(await auditViolations(pool, history, rowOf)).toMatchObject({ stepsBack: 0, violations: [] });
}

test(
  "a producer that was frozen until the oplog rolled over copies everything again: equal, no step back, never empty",
  { timeout: 300_000 },
  async () => {
    const { client, uri } = mongodb;
    const { db, pipeline, writer, producer } = await setUp(client, uri, { mongodb: { onHistoryLost: "resnapshot" } });
    producer.freeze();
    const before = [...writer.history.documentsIn("plain").keys()];
    const frozenAt = await clusterTimeOf(db);
    await write(writer, 200);
    await mongodb.rollOplog();
    await mongodb.rollOplog();
    const kept = keysSince(writer, before, frozenAt);
    const lowest = watchRows(pipeline, kept);
    producer.thaw();
    await producer.logged("copying all collections again");
    await expectEqual(pipeline);
    expect(await lowest()).toBe(kept.length);
    await expectNoStepBack(pipeline, writer);
  },
);

test(
  "a consumer that was down until Kafka deleted unread records stops; with the remedy of its error it requests a new copy: equal, no step back, never empty",
  { timeout: 300_000 },
  async () => {
    const { client, uri } = mongodb;
    const { db, pipeline, writer, consumer } = await setUp(client, uri, {});
    await consumer.kill();
    const before = [...writer.history.documentsIn("plain").keys()];
    const killedAt = await clusterTimeOf(db);
    await write(writer, 200);
    await deleteAllRecords(pipeline, db);
    await write(writer, 50);
    const kept = keysSince(writer, before, killedAt);
    const lowest = watchRows(pipeline, kept);
    const { exitCode, stderr } = await pipeline.run("consume");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/HISTORY_LOST_IN_KAFKA.*Start the consumer with `kafka\.onHistoryLost: resnapshot`/);
    await setOnHistoryLost(pipeline.configFile);
    const restarted = pipeline.start("consume");
    await restarted.logged("the producer will copy their collection again");
    await expectEqual(pipeline);
    expect(await lowest()).toBe(kept.length);
    await expectNoStepBack(pipeline, writer);
  },
);

test(
  "run --once copies a collection again whose records Kafka has deleted unread, before it ends",
  { timeout: 300_000 },
  async () => {
    const { client, uri } = mongodb;
    const { db, pipeline, writer, producer, consumer } = await setUp(client, uri, {});
    await consumer.stop();
    await write(writer, 200);
    await deleteAllRecords(pipeline, db);
    await producer.stop();
    await setOnHistoryLost(pipeline.configFile);
    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain("the producer will copy their collection again");
    await expectEqual(pipeline);
  },
);

/** Does what the remedy says. */
async function setOnHistoryLost(configFile: string): Promise<void> {
  const config = JSON.parse(await readFile(configFile, "utf8")) as { readonly kafka: object };
  const kafka = { ...config.kafka, onHistoryLost: "resnapshot" };
  await writeFile(configFile, JSON.stringify({ ...config, kafka }));
}

/** Resolves when the producer has published all writes. */
async function deleteAllRecords(pipeline: Pipeline, db: Db): Promise<void> {
  const now = await clusterTimeOf(db);
  await vi.waitFor(
    async () => {
      const { stdout } = await pipeline.run("status", "--json");
      const { position } = JSON.parse(stdout) as { position: { clusterTime: string } };
      expect(BigInt(position.clusterTime)).toBeGreaterThanOrEqual(now);
    },
    { timeout: 60_000, interval: 100 },
  );
  const topic = topicOf(pipeline.name, db.databaseName, "plain");
  const admin = connectKafka().admin();
  await admin.connect();
  try {
    const ends = await admin.fetchTopicOffsets(topic);
    const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
    await admin.deleteTopicRecords({ topic, partitions });
  } finally {
    await admin.disconnect();
  }
}
