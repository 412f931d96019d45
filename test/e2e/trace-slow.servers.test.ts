// Which stage the lines of --trace-slow name when one server is slow.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { spawnHeadrace } from "../cli/spawn-headrace.ts";
import type { SpawnedHeadrace } from "../cli/spawn-headrace.ts";
import { startKafkaProxy } from "../support/kafka-proxy.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { servers } from "../support/servers.ts";

interface SlowLine {
  /** Only of the producer. */
  readonly collections?: readonly Readonly<Record<string, unknown>>[];
  readonly totalMs: number;
  readonly slowest: string;
  readonly stagesMs: Readonly<Record<string, number>>;
}

const SECRET = "a text that no line may hold";
const KEY = "a key that no line may hold";
const LOCKED_MS = 2_000;

function slowLines(process: SpawnedHeadrace): readonly SlowLine[] {
  const lines = process.log().trimEnd().split("\n");
  return lines.filter((line) => line.includes('"stagesMs"')).map((line) => JSON.parse(line) as SlowLine);
}

/** Resolves when a change of the stream is in its row. */
async function following({ db, pool }: Pipeline): Promise<void> {
  await db.collection("things").insertOne({ _id: KEY as never, name: SECRET });
  const isThere = async () => (await pool.query("SELECT FROM things WHERE _id = $1", [KEY])).rowCount;
  await expect.poll(() => isThere().catch(() => 0), { timeout: 60_000 }).toBe(1);
}

function sumOf({ stagesMs }: SlowLine): number {
  return Object.values(stagesMs).reduce((sum, ms) => sum + ms, 0);
}

test("while a table is locked, the consumer's line names PostgreSQL", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  pipeline.start("produce");
  const consumer = spawnHeadrace("consume", "--trace-slow", "1500", "-c", pipeline.configFile);
  await following(pipeline);
  const locker = await pipeline.pool.connect();
  onTestFinished(() => locker.release());
  await locker.query("BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE");
  await pipeline.db.collection("things").updateOne({ _id: KEY as never }, { $set: { name: `${SECRET}, changed` } });
  const waiting = `SELECT FROM pg_locks WHERE NOT granted AND relation = '${pipeline.schema}.things'::regclass`;
  await expect.poll(async () => (await locker.query(waiting)).rowCount, { timeout: 30_000 }).toBeGreaterThan(0);
  // The length of the lock is what the line tells.
  await sleep(LOCKED_MS);
  await locker.query("COMMIT");
  // The start may have been slow, too.
  const ofLock = () => slowLines(consumer).find(({ stagesMs }) => (stagesMs["postgres"] ?? 0) >= LOCKED_MS - 100);
  await expect.poll(ofLock, { timeout: 30_000 }).toBeDefined();
  const line = ofLock();
  expect(line).toMatchObject({ slowest: "postgres", partition: expect.any(Number), offset: expect.any(String) });
  expect(line && sumOf(line)).toBe(line?.totalMs);
  for (const text of [SECRET, KEY]) expect(consumer.log()).not.toContain(text);
});

test("behind a slow network to Kafka, the producer's line names the transaction", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const { configFile } = await pipeline.reconfigured({
    kafka: { brokers: proxy.brokers },
    log: { traceSlowMs: 500 },
  });
  const producer = spawnHeadrace("produce", "-c", configFile);
  pipeline.start("consume");
  await following(pipeline);
  proxy.setLatencyMs(200);
  const things = pipeline.db.collection("things");
  const ofUpdate = () =>
    slowLines(producer).find(({ slowest, collections }) => slowest === "produce" && collections?.[0]?.["u"] === 1);
  // A change may have to wait for the end of a transaction with the position of an idle stream.
  const update = async () => {
    await things.updateOne({ _id: KEY as never }, { $inc: { changes: 1 } });
    return ofUpdate();
  };
  await expect.poll(update, { timeout: 60_000, interval: 3_000 }).toBeDefined();
  const line = ofUpdate();
  expect(line).toMatchObject({ changes: 1, collections: [{ collection: "things" }] });
  expect(line?.stagesMs["produce"]).toBeGreaterThanOrEqual(400);
  expect(line && sumOf(line)).toBe(line?.totalMs);
  for (const text of [SECRET, KEY]) expect(producer.log()).not.toContain(text);
});
