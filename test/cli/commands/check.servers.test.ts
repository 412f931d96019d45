import { Kafka, logLevel } from "kafkajs";
import { MongoMemoryServer } from "mongodb-memory-server-core";
import { escapeIdentifier } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { cacheFolder } from "../../../dev/stack/local/cache.ts";
import { findMongod } from "../../../dev/stack/local/mongod.ts";
import { collectionSchema } from "../../../src/schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { createSchemaRegistry } from "../../../src/schemas/registry/registry.ts";
import { topicOf } from "../../../src/schemas/topics.ts";
import { startHttpProxy } from "../../support/http-proxy.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import { freshPostgresUser, servers, uniqueName } from "../../support/servers.ts";

// Any version of mongod that the stack has is good enough.
process.env["MONGOMS_SYSTEM_BINARY_VERSION_CHECK"] = "false";

const cleanups: (() => Promise<unknown>)[] = [];

afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

describe("headrace check", () => {
  test("passes if everything is right, and changes nothing", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} } });
    await pipeline.db.createCollection("things");
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain("All checks passed.");
    expect(stdout).toMatch(/✓ has an oplog that reaches back \d+ (minutes|hours)/);
    expect(stdout).not.toContain("✗");
    expect(exitCode).toBe(0);
    const { rows } = await pipeline.pool.query("SELECT FROM pg_tables WHERE schemaname = $1", [pipeline.schema]);
    expect(rows).toEqual([]);
    expect(await topicsOf(pipeline.name)).toEqual([]);
  });

  test("names every server that cannot be reached, without credentials", async () => {
    const pipeline = await freshPipeline({
      mongodb: { uri: "mongodb://me:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=500", database: "x" },
      kafka: { brokers: "127.0.0.1:1" },
      schemaRegistry: { url: "http://me:hunter2@127.0.0.1:2" },
      postgres: { url: "postgres://me:hunter2@127.0.0.1:3/db" },
    });
    const { exitCode, stdout, stderr } = await pipeline.run("check");
    expect(exitCode).toBe(1);
    for (const server of [
      "MongoDB at 127.0.0.1:1\n  ✗",
      "Kafka at 127.0.0.1:1\n  ✗",
      "The schema registry at 127.0.0.1:2\n  ✗",
      "PostgreSQL at 127.0.0.1:3/db\n  ✗",
    ]) {
      expect(stdout).toContain(server);
    }
    expect(stdout.match(/ECONNREFUSED/g)?.length).toBeGreaterThanOrEqual(3);
    expect(stdout + stderr).not.toContain("hunter2");
  });

  test("lists an unreadable TLS file beside the results of the other servers", async () => {
    const pipeline = await freshPipeline({
      kafka: { ssl: { caFile: "/nowhere/ca.pem" } },
      collections: { things: {} },
    });
    await pipeline.db.createCollection("things");
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toMatch(/✗ is reachable\n +TLS_FILE_UNREADABLE: .*\/nowhere\/ca\.pem/);
    expect(stdout).toContain("✓ accepts writes");
    expect(exitCode).toBe(1);
  });

  test("refuses a standalone MongoDB and says how to make it a replica set", async () => {
    const signal = AbortSignal.timeout(120_000);
    const provide = await findMongod(cacheFolder(process.env), signal);
    const systemBinary = await provide({ report: () => {}, signal } as unknown as Parameters<typeof provide>[0]);
    const standalone = await MongoMemoryServer.create({ binary: { systemBinary }, instance: { ip: "127.0.0.1" } });
    cleanups.push(() => standalone.stop());
    const pipeline = await freshPipeline({ mongodb: { uri: standalone.getUri() } });
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain("standalone");
    expect(stdout).toContain("rs.initiate()");
    expect(exitCode).toBe(1);
  });

  test.each([
    ["a view", "aView", /✗ has collections that can be replicated\n.*"aView": it is a view/],
    ["a capped one", "capped", /✗ has collections that can be replicated\n.*"capped": it is capped/],
  ])("refuses a collection that cannot be replicated: %s", async (_, collection, message) => {
    const pipeline = await freshPipeline({ collections: { [collection]: {} } });
    await pipeline.db.createCollection("things");
    await pipeline.db.createCollection("aView", { viewOn: "things", pipeline: [] });
    await pipeline.db.createCollection("capped", { capped: true, size: 4096 });
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toMatch(message);
    expect(exitCode).toBe(1);
  });

  test("warns of a database without collections, and of a name that differs from one that is there", async () => {
    const pipeline = await freshPipeline();
    const { databaseName } = pipeline.db;
    const empty = await pipeline.run("check");
    expect(empty.stdout).toMatch(
      new RegExp(`! has collections that can be replicated\n +The database "${databaseName}" has no collections\\.\n`),
    );
    expect(empty.stdout).toContain("All checks passed. 1 with a warning (!).");
    expect(empty.exitCode).toBe(0);

    await pipeline.db.createCollection("things");
    expect((await pipeline.run("check")).stdout).toContain("✓ has collections that can be replicated");
    const other = databaseName.replace("test_", "TEST_");
    for (const collections of [undefined, { things: {} }]) {
      const mistyped = await pipeline.reconfigured({ mongodb: { database: other }, collections });
      const { exitCode, stdout } = await mistyped.run("check");
      expect(stdout).toContain(
        `The database "${other}" has no collections. The server has a database "${databaseName}".`,
      );
      expect(stdout).toContain("→ Correct mongodb.database. If the data is still to come");
      expect(exitCode).toBe(0);
    }
    const wrong = await pipeline.reconfigured({ collections: { Things: {}, nothingAlike: {} } });
    const named = await wrong.run("check");
    expect(named.stdout).toContain('The database has no collection "Things", "nothingAlike". It has "things".');
    expect(named.exitCode).toBe(0);
  });

  test("accepts a collection that was dropped after it was replicated; the pipeline still runs", async () => {
    const pipeline = await freshPipeline({ collections: { things: {}, others: {} } });
    for (const name of ["things", "others"]) await pipeline.db.collection(name).insertOne({ a: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    await pipeline.db.dropCollection("others");
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain('The database has no collection "others".');
    expect(exitCode).toBe(0);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect((await pipeline.pool.query(`SELECT FROM ${pipeline.schema}.others`)).rows).toEqual([]);
  });

  test("finds a topic with the wrong number of partitions, and a replication factor above the number of brokers", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, kafka: { replicationFactor: 9 } });
    await pipeline.db.createCollection("things");
    const topic = topicOf(pipeline.name, pipeline.db.databaseName, "things");
    await withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }));
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain(`${topic} has 2 partitions, not 4`);
    expect(stdout).toContain("kafka.replicationFactor is 9, but");
    expect(exitCode).toBe(1);
  });

  test("finds a schema that the registry would refuse, without registering it", async () => {
    const pipeline = await freshPipeline({ collections: { things: { columns: { n: "double precision" } } } });
    await pipeline.db.createCollection("things");
    const database = pipeline.db.databaseName;
    const topic = topicOf(pipeline.name, database, "things");
    const column = { name: "n", path: ["n"], type: parseColumnType("text") };
    const schema = collectionSchema(
      { collection: "things", mode: "columns", columns: [column], children: [], idType: undefined },
      "string",
      { name: pipeline.name, database, topic },
    );
    const registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });
    await registry.register(schema.keySubject, schema.keySchema);
    await registry.register(schema.valueSubject, schema.valueSchema);
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain(`✗ accepts the collections' schemas`);
    expect(stdout).toContain(`${topic}-value`);
    expect(exitCode).toBe(1);
    expect((await registry.latest(schema.valueSubject))?.definition).toEqual(schema.valueSchema);
  });

  test("names a registry that becomes unreachable during the checks", async () => {
    const proxy = await startHttpProxy(servers().schemaRegistryUrl);
    const pipeline = await freshPipeline({ schemaRegistry: { url: proxy.url }, collections: { things: {} } });
    await pipeline.db.collection("things").insertOne({ n: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    proxy.setRequestVerdict((kind) => (kind.includes("/compatibility/") ? "cut" : "pass"));
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain("REGISTRY_UNAVAILABLE");
    expect(stdout).not.toContain("UNKNOWN_ERROR");
    expect(exitCode).toBe(1);
    await proxy.close();
  });

  test("finds missing rights in PostgreSQL and prints the GRANT", async () => {
    const { pool, schema } = await freshPipeline();
    const user = await freshPostgresUser();
    await pool.query(`CREATE TABLE things (_id text PRIMARY KEY, doc jsonb)`);
    await pool.query(`GRANT USAGE ON SCHEMA ${escapeIdentifier(schema)} TO ${user.name}`);
    const pipeline = await freshPipeline({
      postgres: { url: user.url, schema },
      collections: { things: {}, others: {} },
    });
    for (const name of ["things", "others"]) await pipeline.db.collection(name).insertOne({ a: 1 });
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toMatch(/✗ allows the user to keep Headrace's own tables.*\n.*\n.*GRANT .* TO user_/);
    expect(stdout).toContain(`✗ can store the collection things in the table ${schema}.things`);
    expect(stdout).toContain(`The user of postgres.url may not write to "${schema}"."things"`);
    expect(stdout).toContain(`The user of postgres.url may not extend the table "${schema}"."things".`);
    expect(stdout).toContain(`The user of postgres.url may not create tables in the schema "${schema}"`);
    expect(exitCode).toBe(1);
  });

  test("demands no right to create in PostgreSQL where everything is there, and the pipeline runs", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} } });
    const things = pipeline.db.collection<{ _id: string }>("things");
    await things.insertOne({ _id: "a" });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const user = await freshPostgresUser();
    for (const schema of ["headrace", escapeIdentifier(pipeline.schema)]) {
      await pipeline.pool.query(`GRANT USAGE ON SCHEMA ${schema} TO ${user.name}`);
      await pipeline.pool.query(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${user.name}`,
      );
    }
    const limited = await pipeline.through({ postgresUrl: user.url });
    expect((await limited.run("check")).stdout).toContain("All checks passed.");
    await things.insertOne({ _id: "b" });
    const { exitCode, stderr } = await limited.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
    expect((await pipeline.pool.query("SELECT FROM things")).rowCount).toBe(2);
  });

  test("refuses a database that is not UTF-8, and so does a start", async () => {
    const admin = await freshPipeline();
    const database = uniqueName("latin");
    await admin.pool.query(`CREATE DATABASE ${database} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    try {
      const url = Object.assign(new URL(servers().postgresUrl), { pathname: database }).href;
      const pipeline = await freshPipeline({ postgres: { url, schema: "public" }, collections: { things: {} } });
      await pipeline.db.collection("things").insertOne({ a: "я" });
      const check = await pipeline.run("check");
      expect(check.stdout).toMatch(
        /✗ has a database in UTF-8\n +POSTGRES_NOT_UTF8: The database \S+ has the encoding LATIN1/,
      );
      expect(check.exitCode).toBe(1);
      const run = await pipeline.run("run", "--once");
      expect(run.stderr).toContain("POSTGRES_NOT_UTF8");
      expect(run.exitCode).toBe(1);
    } finally {
      await admin.pool.query(`DROP DATABASE ${database} WITH (FORCE)`);
    }
  });

  test("lists every reason why a table does not fit", async () => {
    const pipeline = await freshPipeline({ collections: { things: { columns: { n: "bigint", t: "text" } } } });
    await pipeline.pool.query("CREATE TABLE things (_id text, n boolean, needed int NOT NULL)");
    await pipeline.db.collection<{ _id: number }>("things").insertOne({ _id: 1 });
    const { exitCode, stdout } = await pipeline.run("check");
    for (const problem of [`column "_id" is text`, `column "n" is boolean`, "no unique index", `column "needed"`]) {
      expect(stdout).toContain(problem);
    }
    expect(exitCode).toBe(1);
  });

  test("finds a type that has the name of a table", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} } });
    await pipeline.db.collection("things").insertOne({ a: 1 });
    await pipeline.pool.query("CREATE TYPE things AS ENUM ('a')");
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain("a type has its name");
    expect(stdout).toContain("ALTER TYPE");
    expect(exitCode).toBe(1);
  });

  test("finds collections whose topics Kafka cannot tell apart", async () => {
    const pipeline = await freshPipeline({ collections: { "a.b": { table: "ab1" }, a_b: { table: "ab2" } } });
    await pipeline.db.createCollection("a.b");
    await pipeline.db.createCollection("a_b");
    const { exitCode, stdout } = await pipeline.run("check");
    expect(stdout).toContain("✗ the collections' topic names do not collide");
    expect(exitCode).toBe(1);
  });
});

async function topicsOf(name: string): Promise<string[]> {
  const topics = await withAdmin((admin) => admin.listTopics());
  return topics.filter((topic) => topic.startsWith(name));
}

async function withAdmin<T>(use: (admin: ReturnType<Kafka["admin"]>) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}
