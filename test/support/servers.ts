// Databases, schemas and names for tests with servers. Import it at the top of a test file: everything that it creates
// is removed after that file.
import { randomBytes } from "node:crypto";
import { MongoClient } from "mongodb";
import type { Db } from "mongodb";
import { Pool, escapeIdentifier } from "pg";
import { afterAll, inject } from "vitest";
import type { ServerUrls } from "../../dev/stack/server-urls.ts";

const cleanups: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

/** The addresses of the stack that the tests run on. */
export function servers(): ServerUrls {
  return inject("servers");
}

/** A unique name. Valid for a topic, a database, a collection, a schema and an Avro namespace. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString("hex")}`;
}

/** An empty MongoDB database. */
export interface FreshMongoDatabase {
  readonly uri: string;
  readonly name: string;
  readonly client: MongoClient;
  readonly db: Db;
}

export async function freshMongoDatabase(): Promise<FreshMongoDatabase> {
  const uri = servers().mongodbUri;
  const name = uniqueName("test");
  const client = await MongoClient.connect(uri);
  const db = client.db(name);
  cleanups.push(async () => {
    await db.dropDatabase();
    await client.close();
  });
  return { uri, name, client, db };
}

/** An empty PostgreSQL schema. */
export interface FreshPostgresSchema {
  readonly url: string;
  readonly schema: string;
  /** Connections with the schema as search path. */
  readonly pool: Pool;
  /** Drops the schema. Optional: otherwise it is dropped after the test file. */
  drop(): Promise<void>;
}

export async function freshPostgresSchema(): Promise<FreshPostgresSchema> {
  const url = servers().postgresUrl;
  const schema = uniqueName("test");
  const pool = new Pool({ connectionString: url, options: `-c search_path=${schema}`, max: 4 });
  const drop = async (): Promise<void> => {
    await pool.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(schema)} CASCADE`);
  };
  await pool.query(`CREATE SCHEMA ${escapeIdentifier(schema)}`);
  cleanups.push(async () => {
    await drop();
    await pool.end();
  });
  return { url, schema, pool, drop };
}

/** A user with no rights but LOGIN. */
export async function freshPostgresUser(): Promise<{ readonly name: string; readonly url: string }> {
  const name = uniqueName("user");
  const url = new URL(servers().postgresUrl);
  const admin = new Pool({ connectionString: url.href, max: 1 });
  await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`);
  cleanups.push(async () => {
    await admin.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    await admin.end();
  });
  Object.assign(url, { username: name, password: "secret" });
  return { name, url: url.href };
}
