import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Decimal128 } from "mongodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { headrace } from "../../../dev/headrace-process.ts";
import { freshMongoDatabase, servers } from "../../support/servers.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-init-"));
});

afterAll(() => rm(folder, { recursive: true }));

function environment(): NodeJS.ProcessEnv {
  const { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl } = servers();
  return {
    ...process.env,
    MONGODB_URI: mongodbUri,
    KAFKA_BROKERS: kafkaBrokers,
    SCHEMA_REGISTRY_URL: schemaRegistryUrl,
    POSTGRES_URL: postgresUrl,
  };
}

test("init writes a config without addresses that check accepts, and never overwrites a file", async () => {
  const { db, name } = await freshMongoDatabase();
  await db
    .collection("odd names: here")
    .insertMany([{ "US Gross": 1, price: Decimal128.fromString("9.90"), dims: { w: 1.5 } }]);
  await db.createCollection("empty");
  const out = join(folder, "headrace.yaml");
  const env = environment();
  expect(await headrace(["init", "-d", name, "-o", out], env)).toMatchObject({ exitCode: 0, stderr: "" });
  const text = await readFile(out, "utf8");
  expect(text).toContain("US Gross: bigint");
  expect(text).toContain("empty: {}");
  expect(text).not.toContain("127.0.0.1");
  const check = await headrace(["check", "-c", out], env);
  expect(check.exitCode, check.stdout + check.stderr).toBe(0);

  const again = await headrace(["init", "-d", name, "-o", out], env);
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("exists") });
  expect(await readFile(out, "utf8")).toBe(text);
});

test("init refuses a database without collections", async () => {
  const { name } = await freshMongoDatabase();
  const { exitCode, stderr } = await headrace(["init", "-d", name, "-o", join(folder, "none.yaml")], environment());
  expect(stderr).toContain("has no collections");
  expect(exitCode).toBe(2);
});
