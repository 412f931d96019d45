// A pipeline whose processes can use proxies, and a writer that writes without pause and keeps a model.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { auditViolations, createAuditedTables, rowDifferences } from "../support/audit-trail.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { startKafkaProxy } from "../support/kafka-proxy.ts";
import { columnsOf, mappingOf, rowOf } from "../support/model-tables.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { startMongoProxy } from "../support/mongo-proxy.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { startPostgresProxy } from "../support/postgres-proxy.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { servers } from "../support/servers.ts";

const COLLECTIONS = ["typed", "plain"];
const WAIT_SECONDS = "120";

/** One proxy in front of each server. */
export async function startProxies() {
  const { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl } = servers();
  const proxies = {
    mongodb: await startMongoProxy(mongodbUri),
    kafka: await startKafkaProxy(kafkaBrokers),
    registry: await startHttpProxy(schemaRegistryUrl),
    postgres: await startPostgresProxy(postgresUrl),
  };
  onTestFinished(async () => {
    for (const proxy of Object.values(proxies)) await proxy.close();
  });
  return proxies;
}

export type Proxies = Awaited<ReturnType<typeof startProxies>>;

/** Has documents for the snapshot. No process runs yet. */
export async function faultyPipeline() {
  const proxies = await startProxies();
  const pipeline = await freshPipeline({
    collections: Object.fromEntries(COLLECTIONS.map((each) => [each, mappingOf(each)])),
    snapshot: { chunkDocuments: 10 },
    deadLetters: { window: { max: 100_000, records: 100_000 } },
  });
  const { client, db, pool } = pipeline;
  await createAuditedTables(pool, Object.fromEntries(COLLECTIONS.map((each) => [each, columnsOf(each)])));
  const random = seededRandom(printedSeed());
  const writer = new ModelWriter({ client, db, random, collections: COLLECTIONS, keys: 40 });
  onTestFinished(() => writer.close());
  for (let step = 0; step < 300; step++) await writer.step();

  /** Writes while `work` runs. */
  const whileWriting = async (work: () => Promise<void>): Promise<void> => {
    let isDone = false;
    const working = work().finally(() => (isDone = true));
    // Prevents an unhandled rejection; awaited below.
    working.catch(() => {});
    while (!isDone) {
      await writer.step();
      await sleep(2);
    }
    await working;
  };

  /** The tables equal MongoDB and the model, and every state of a row was a state of its document. */
  const expectEqual = async (): Promise<void> => {
    const { exitCode, stdout, stderr } = await pipeline.run("verify", "--wait", WAIT_SECONDS);
    expect(exitCode, stdout + stderr).toBe(0);
    for (const each of COLLECTIONS) expect(await rowDifferences(pool, writer.history, each, rowOf)).toEqual([]);
    const audit = await auditViolations(pool, writer.history, rowOf);
    expect(audit.violations).toEqual([]);
    expect(audit.entries).toBeGreaterThan(50);
  };

  const through = await pipeline.through({
    mongodbUri: proxies.mongodb.uri,
    kafkaBrokers: proxies.kafka.brokers,
    schemaRegistryUrl: proxies.registry.url,
    postgresUrl: proxies.postgres.url,
  });
  return { pipeline, proxies, through, pool, whileWriting, expectEqual };
}

export type FaultyPipeline = Awaited<ReturnType<typeof faultyPipeline>>;
