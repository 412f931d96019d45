import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cacheFolder } from "../../dev/stack/local/cache.ts";
import { downloadByMaven } from "../../dev/stack/local/maven.ts";
import { findJava } from "../../dev/stack/local/tools.ts";
import type { LocalContext } from "../../dev/stack/local/types.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { servers, uniqueName } from "../support/servers.ts";

const artifact = (group: string, name: string, version: string): string =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;

const download = {
  name: "Kafka Connect with Debezium's JDBC sink",
  entry: "kafka-connect-4.1.1-debezium-jdbc-3.3.1",
  sizeMegabytes: 77,
  goal: "copy-dependencies",
  dependencies: [
    artifact("org.apache.kafka", "connect-runtime", "4.1.1"),
    artifact("io.debezium", "debezium-connector-jdbc", "3.3.1.Final"),
    artifact("io.apicurio", "apicurio-registry-utils-converter", "2.6.13.Final"),
  ].join(""),
} as const;

/** The settings of the worker, of the sink and of the transformation in docs/reading-the-topics.md, with their placeholders filled in. */
async function settingsOf(values: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const page = await readFile(new URL("../../docs/reading-the-topics.md", import.meta.url), "utf8");
  const blocks = [...page.matchAll(/```properties\n(.*?)```/gs)].map(([, block = ""]) => block);
  return blocks.map((block) => block.replaceAll(/BROKERS|REGISTRY|TOPIC/g, (name) => values[name] ?? ""));
}

/** Kafka Connect with some sinks. It ends with the test. @returns its log so far */
async function startConnect(worker: string, ...sinks: readonly string[]): Promise<() => string> {
  const signal = AbortSignal.timeout(170_000);
  const context = { cache: cacheFolder(process.env), report: () => {}, signal } as unknown as LocalContext;
  const libraries = await downloadByMaven(download, context);
  const folder = await mkdtemp(join(tmpdir(), "headrace-connect-"));
  const workerFile = join(folder, "worker.properties");
  const sinkFiles = sinks.map((_, index) => join(folder, `sink-${index}.properties`));
  const own = `listeners=http://127.0.0.1:0\nplugin.discovery=service_load\noffset.storage.file.filename=${folder}/offsets\n`;
  await writeFile(workerFile, `${worker}${own}`);
  await Promise.all(sinks.map((sink, index) => writeFile(sinkFiles[index]!, sink)));
  const main = "org.apache.kafka.connect.cli.ConnectStandalone";
  const args = ["-Xmx512m", "-cp", join(libraries, "*"), main, workerFile, ...sinkFiles];
  const child = spawn(await findJava(signal), args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  const closed = new Promise((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await closed;
    await rm(folder, { recursive: true });
  });
  return () => log;
}

/**
 * A pipeline whose topic has inserts, updates and deletes, and Kafka Connect with a sink for each table, all with the docs'
 * settings.
 * @param sinksOf the settings of each sink by its table, from those of the sink and of the transformation in the docs
 */
async function connectedPipeline(sinksOf: (sink: string, unwrap: string) => Readonly<Record<string, string>>) {
  const columns = { n: "int", price: "numeric(10,2)", day: "date" };
  const pipeline = await freshPipeline({ collections: { things: { columns } }, kafka: { partitions: 2 } });
  const { db, name, pool, schema } = pipeline;
  const things = db.collection<{ _id: number; n: number; price?: number; day?: Date }>("things");
  const sync = async (): Promise<void> => {
    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
  };
  await things.insertMany(Array.from({ length: 10 }, (_, n) => ({ _id: n, n })));
  await sync();
  await things.deleteMany({ n: { $gte: 3 } });
  await things.updateOne({ _id: 1 }, { $set: { n: 11, price: 9.5, day: new Date("2024-02-29") } });
  await sync();

  const url = new URL(servers().postgresUrl);
  const [worker = "", sink = "", unwrap = ""] = await settingsOf({
    BROKERS: servers().kafkaBrokers,
    REGISTRY: servers().schemaRegistryUrl.replace("/apis/ccompat/v7", ""),
    TOPIC: topicOf(name, db.databaseName, "things"),
  });
  const target = `connection.url=jdbc:postgresql://${url.host}${url.pathname}?currentSchema=${schema}
connection.username=${url.username}\nconnection.password=${decodeURIComponent(url.password)}\n`;
  const sinks = Object.entries(sinksOf(sink, unwrap)).map(
    ([table, settings]) => `${settings.replace("copy_of_things", table)}name=${uniqueName(table)}\n${target}`,
  );
  const log = await startConnect(worker, ...sinks);
  return {
    things,
    sync,
    /** Waits until the query has this result. */
    expectRows: async (query: string, expected: readonly unknown[]): Promise<void> => {
      const rows = async (): Promise<unknown> => (await pool.query(query).catch(() => ({ rows: [] }))).rows;
      await expect
        .poll(rows, { timeout: 120_000, interval: 500 })
        .toEqual(expected)
        .catch((error: unknown) => {
          throw new Error(log().slice(-5_000), { cause: error });
        });
    },
  };
}

const COLUMNS = "_id::int, n::int, price, day::text, pg_typeof(day)::text AS type";
const ROWS = [
  { _id: 0, n: 0, price: null, day: null, type: "date" },
  { _id: 1, n: 11, price: "9.5", day: "2024-02-29", type: "date" },
  { _id: 2, n: 2, price: null, day: null, type: "date" },
];
const AFTER_DROP = [...ROWS.slice(0, 2), { ...ROWS[2], n: 7 }];

test(
  "Debezium's JDBC sink with the settings of the docs applies inserts, updates and deletes, and passes over a drop",
  { timeout: 400_000 },
  async () => {
    const { things, sync, expectRows } = await connectedPipeline((sink) => ({ copy: sink }));
    const query = `SELECT ${COLUMNS} FROM copy ORDER BY 1`;
    await expectRows(query, ROWS);
    await things.drop();
    await things.insertOne({ _id: 2, n: 7 });
    await sync();
    await expectRows(query, AFTER_DROP);
  },
);

test(
  "Debezium's ExtractNewRecordState gives a sink rows, deletes and tombstones, and drops truncates",
  { timeout: 400_000 },
  async () => {
    const { things, sync, expectRows } = await connectedPipeline((sink, unwrap) => ({
      deleting: `${sink}${unwrap}`,
      marking: `${sink}${unwrap}`.replace("mode=tombstone", "mode=rewrite"),
    }));
    const query = `SELECT ${COLUMNS} FROM deleting ORDER BY 1`;
    const marked = "SELECT _id::int, n::int, __deleted FROM marking ORDER BY 1";
    const gone = [3, 4, 5, 6, 7, 8, 9].map((_id) => ({ _id, n: null, __deleted: "true" }));
    const left = ROWS.map(({ _id, n }) => ({ _id, n, __deleted: "false" }));
    await expectRows(query, ROWS);
    await expectRows(marked, [...left, ...gone]);
    await things.drop();
    await things.insertOne({ _id: 2, n: 7 });
    await sync();
    await expectRows(query, AFTER_DROP);
    await expectRows(marked, [...left.slice(0, 2), { _id: 2, n: 7, __deleted: "false" }, ...gone]);
  },
);
