import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cached, cacheFolder } from "../../dev/stack/local/cache.ts";
import { runTool } from "../../dev/stack/local/tools.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { servers } from "../support/servers.ts";

const PACKAGE = "confluent-kafka[avro]==2.12.2";

/** The folder with the reader's Python packages. Into a folder of its own: it changes no Python environment. */
async function pythonPackages(signal: AbortSignal): Promise<string> {
  return await cached(cacheFolder(process.env), "python-confluent-kafka-2.12.2", async (target) => {
    await runTool("pip", ["python3", "-m", "pip", "install", "--quiet", "--target", target, PACKAGE], signal);
  });
}

/** The reader in docs/reading-the-topics.md. */
async function readerSource(): Promise<string> {
  const page = await readFile(new URL("../../docs/reading-the-topics.md", import.meta.url), "utf8");
  return /```python\n(.*?)```/s.exec(page)?.[1] ?? "";
}

/** The rows that the reader prints, by `_id`. */
async function rowsOf(topic: string): Promise<readonly unknown[]> {
  const { kafkaBrokers, schemaRegistryUrl } = servers();
  const env = { ...process.env, PYTHONPATH: await pythonPackages(AbortSignal.timeout(150_000)) };
  const args = ["-c", await readerSource(), kafkaBrokers, schemaRegistryUrl, topic];
  const { stdout } = await promisify(execFile)("python3", args, { env });
  const rows = JSON.parse(stdout) as { readonly _id: number | string }[];
  return rows.toSorted((a, b) => (a._id < b._id ? -1 : 1));
}

test.each([
  ["integers", (n: number): number | string => n],
  ["texts", (n: number): number | string => `k${n}`],
])("the Python reader of the docs has the table's rows, after deletes and a drop, too: %s", async (_, idOf) => {
  const columns = { n: "int", price: "numeric(10,2)", day: "date", "odd name": "text" };
  const pipeline = await freshPipeline({ collections: { things: { columns } }, kafka: { partitions: 2 } });
  const things = pipeline.db.collection<{
    _id: number | string;
    n: number;
    more?: boolean;
    price?: number;
    day?: Date;
  }>("things");
  const topic = topicOf(pipeline.name, pipeline.db.databaseName, "things");
  const sync = async (): Promise<void> => {
    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
  };
  await things.insertMany(Array.from({ length: 20 }, (unused, n) => ({ _id: idOf(n), n })));
  await sync();
  await things.deleteMany({ n: { $gte: 3 } });
  await things.updateOne({ n: 1 }, { $set: { more: true, price: 1.5, day: new Date("2024-02-29") } });
  await sync();
  const row = (n: number) => ({ _id: idOf(n), n, price: null, day: null, odd_u0020name: null, _extra: null });
  const changed = { ...row(1), price: "Decimal 1.5", day: "date 2024-02-29", _extra: '{"more":true}' };
  expect(await rowsOf(topic)).toEqual([row(0), changed, row(2)]);

  await things.drop();
  await things.insertOne({ _id: idOf(2), n: 7 });
  await sync();
  expect(await rowsOf(topic)).toEqual([{ ...row(7), _id: idOf(2) }]);
});
