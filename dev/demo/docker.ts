// The demo of docker-compose.yml, where the servers and Headrace run in containers: `load` fills MongoDB, `follow`
// shows the rows arriving in PostgreSQL and compares them.
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient, type Db } from "mongodb";
import { Pool } from "pg";
import { countRows, followRows } from "./copy-snapshot.ts";
import type { Demo } from "./demo.ts";
import { say, step } from "./output.ts";
import { showQueries } from "./queries.ts";
import { loadSampleData } from "./sample-data.ts";
import { verify } from "./verify.ts";

/** Loaded last: if it exists, all collections exist. */
const lastCollection = "earthquakes";

async function load(database: Db): Promise<void> {
  const loaded = await database.listCollections({ name: lastCollection }).toArray();
  if (loaded.length > 0) return say("MongoDB still has the data of the last run.");
  await database.dropDatabase(); // Removes what an interrupted load left.
  await step("Loading 135,233 cities, 3,201 movies and 1,707 earthquakes into MongoDB", () => loadSampleData(database));
}

async function follow(database: Db, demo: Pick<Demo, "target" | "name" | "config" | "env">): Promise<void> {
  const expected = await countDocuments(database);
  const missing = expected - (await countRows(demo));
  say(`${missing.toLocaleString("en")} of ${expected.toLocaleString("en")} documents have no row in PostgreSQL yet.`);
  if (missing > 0) {
    await step("Waiting for the first of them", () => firstRows(demo, expected - missing));
    await followRows(demo, { expected, startedAtMs: Date.now() });
  }
  const { collections } = await step("Comparing every document with its row (headrace verify)", () => verify(demo));
  await showQueries(demo);
  say("");
  for (const { collection, documents, rows } of collections)
    say(`${collection}: ${documents.toLocaleString("en")} documents = ${rows.toLocaleString("en")} rows`);
  say("Equal: every document was compared with its row.");
}

async function firstRows(demo: Pick<Demo, "target" | "name">, before: number): Promise<void> {
  while ((await countRows(demo)) === before) await sleep(100);
}

async function countDocuments(database: Db): Promise<number> {
  const names = (await database.listCollections().toArray()).map(({ name }) => name);
  const counts = await Promise.all(names.map((name) => database.collection(name).countDocuments()));
  return counts.reduce((sum, count) => sum + count, 0);
}

function required(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`The environment variable ${variable} is not set.`);
  return value;
}

const name = required("DEMO_NAME");
const source = await new MongoClient(required("MONGODB_URI")).connect();
const target = new Pool({ connectionString: required("POSTGRES_URL") });
const config = new URL("headrace.yaml", import.meta.url).pathname;
try {
  if (process.argv[2] === "load") await load(source.db(name));
  else await follow(source.db(name), { name, target, config, env: process.env });
} finally {
  await target.end();
  await source.close();
}
