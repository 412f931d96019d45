import { chmod, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Decimal128 } from "mongodb";
import type { Db, Document } from "mongodb";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headrace } from "../../../dev/headrace-process.ts";
import { SHOP } from "../../operations/propose/shop.ts";
import { freshMongoDatabase, freshPostgresSchema, servers } from "../../support/servers.ts";

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

const run = (...args: string[]) => headrace(args, environment());

async function succeed(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(...args);
  expect(exitCode, stdout + stderr).toBe(0);
  return stdout;
}

async function fillShop(db: Db): Promise<void> {
  for (const [name, documents] of Object.entries(SHOP)) {
    if (documents.length === 0) await db.createCollection(name);
    else await db.collection(name).insertMany(documents.map((document) => ({ ...document })));
  }
  await db.createCollection("log", { capped: true, size: 4096 });
}

test("init writes a config without addresses that check accepts, and never overwrites a file", async () => {
  const { db, name } = await freshMongoDatabase();
  await db
    .collection("odd names: here")
    .insertMany([{ "US Gross": 1, price: Decimal128.fromString("9.90"), dims: { w: 1.5 } }]);
  await db.createCollection("empty");
  const out = join(folder, "headrace.yaml");
  expect(await run("init", "-d", name, "-o", out)).toMatchObject({ exitCode: 0, stderr: "" });
  const text = await readFile(out, "utf8");
  expect(text).toContain("us_gross: { path: US Gross, type: bigint } # 100 %: int\n");
  expect(text).toContain("table: odd_names_here\n");
  expect(text).toContain("empty: {} # no documents yet\n");
  expect(text).not.toContain("127.0.0.1");
  await succeed("check", "-c", out);

  const again = await run("init", "-d", name, "-o", out);
  expect(again).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("already exists. Add to it with --update"),
  });
  expect(await readFile(out, "utf8")).toBe(text);
});

test("init refuses a database without collections, and a start without a database", async () => {
  const { name, db } = await freshMongoDatabase();
  const none = await run("init", "-d", name, "-o", join(folder, "none.yaml"));
  expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("has no collections to replicate.\n") });
  await db.createCollection("log", { capped: true, size: 4096 });
  const unfit = await run("init", "-d", name, "-o", join(folder, "none.yaml"));
  expect(unfit).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('"log": it is capped') });
  const missing = await run("init", "-o", join(folder, "none.yaml"));
  expect(missing).toMatchObject({ exitCode: 2, stderr: "error: Give the database with --database NAME.\n" });
});

describe("a shop", () => {
  test.for([
    ["snake", "children"],
    ["keep", "jsonb"],
  ] as const)("%s, %s: check accepts the config, and run fills its tables", async ([names, arrays]) => {
    const { db, name } = await freshMongoDatabase();
    const { schema, pool } = await freshPostgresSchema();
    await fillShop(db);
    const out = join(folder, `${name}.yaml`);
    await succeed("init", "--yes", "-d", name, "-o", out, "--names", names, "--arrays", arrays);
    const text = await readFile(out, "utf8");
    expect(text).toMatch(/# left out: "log": it is capped/);
    await writeFile(out, text.replace("schema: public", `schema: ${schema}`));
    await succeed("check", "-c", out);
    await succeed("run", "--once", "-c", out);
    const columns = await columnsOf(pool, schema);
    expect(columns).toMatchObject({ products: { price: "numeric", ratings: "double precision[]", names: "jsonb" } });
    expect(columns["orders"]).toMatchObject({ coupons: "text[]", total: "numeric" });
    const extra = await pool.query("SELECT _id FROM products WHERE _extra IS NOT NULL");
    expect(extra.rows).toEqual([{ _id: "sku-7" }]);
    if (arrays === "jsonb") {
      expect(columns["orders"]).toMatchObject({ items: "jsonb" });
    } else {
      await expectChildren(pool, columns);
    }
    expect(await succeed("verify", "-c", out)).toContain("Equal");
    await succeed("remove", "--pipeline", "--tables", "--yes", "-c", out);
  });
});

async function expectChildren(pool: Pool, columns: Record<string, Record<string, string>>): Promise<void> {
  expect(columns).toMatchObject({
    customers_addresses: { kind: "text", floor: "bigint" },
    orders_items: { sku: "text", quantity: "bigint", price: "numeric", tags: "text[]" },
    orders_items_taxes: { name: "text", rate: "double precision", steps: "jsonb" },
    orders_payments: { method: "text", amount: "numeric" },
  });
  const items = (SHOP["orders"] ?? []).flatMap((order) => order["items"] as Document[]);
  const taxes = items.flatMap((item) => item["taxes"] as Document[]);
  const { rows } = await pool.query("SELECT count(*)::int AS count FROM orders_items_taxes WHERE rate = 0.19");
  expect(rows).toEqual([{ count: taxes.length }]);
}

/** The types of all columns, by table. */
async function columnsOf(pool: Pool, schema: string): Promise<Record<string, Record<string, string>>> {
  const { rows } = await pool.query<{ relname: string; columns: Record<string, string> }>(
    `SELECT relname, json_object_agg(attname, format_type(atttypid, atttypmod)) AS columns
     FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relnamespace = $1::text::regnamespace AND relkind = 'r' AND attnum > 0 GROUP BY relname`,
    [schema],
  );
  return Object.fromEntries(rows.map(({ relname, columns }) => [relname, columns]));
}

describe("init --update", () => {
  const EDITED = (database: string) => `name: ${database}
mongodb: { uri: "\${MONGODB_URI}", database: ${database} }
kafka: { brokers: "\${KAFKA_BROKERS}" }
schemaRegistry: { url: "\${SCHEMA_REGISTRY_URL}" }
postgres: { url: "\${POSTGRES_URL}" }
collections:
  products:   # Ann's
    columns:
      price:    numeric(4,1)   # in EUR
`;
  const UPDATED = (database: string) => `${EDITED(database).replace(
    "      price:",
    "      # 1 of 2 documents does not fit: double; double precision holds all\n      price:",
  )}      stock: bigint # 100 %: int
  users: # sampled: 1 document
    columns:
      name: text # 100 %: string
`;

  async function edited(): Promise<{ file: string; name: string }> {
    const { db, name } = await freshMongoDatabase();
    await db.collection("products").insertMany([
      { price: 1.5, stock: 1 },
      { price: 2.25, stock: 2 },
    ]);
    await db.collection("users").insertOne({ name: "a" });
    const file = join(folder, `${name}.yaml`);
    await writeFile(file, EDITED(name));
    return { file, name };
  }

  test("shows a diff, and changes nothing without a confirmation", async () => {
    const { file, name } = await edited();
    const { exitCode, stdout, stderr } = await run("init", "--update", "-c", file);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("products: new columns: stock\n");
    expect(stderr).toContain("products.price: 1 of 2 documents does not fit: double; double precision holds all\n");
    expect(stderr).toContain("stdin is not a terminal; give --yes");
    expect(stdout).toContain(`--- ${file}\n+++ ${file}\n@@ -6,4 +6,9 @@\n`);
    expect(stdout).toContain("\n+      stock: bigint # 100 %: int\n");
    expect(await readFile(file, "utf8")).toBe(EDITED(name));
  });

  test("--yes adds it to the file, through a link and with its mode; check accepts it, and then nothing is left to add", async () => {
    const { file, name } = await edited();
    await chmod(file, 0o640);
    const link = join(folder, `link-${name}.yaml`);
    await symlink(file, link);
    await succeed("init", "--update", "--yes", "-o", link);
    expect(await readFile(file, "utf8")).toBe(UPDATED(name));
    expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect((await readdir(folder)).filter((each) => each.endsWith(".tmp"))).toEqual([]);
    await succeed("check", "-c", file);
    expect(await run("init", "--update", "-c", file)).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: expect.stringContaining("has nothing to add"),
    });
  });

  test("refuses a file that is missing or not valid, and another database", async () => {
    const { file, name } = await edited();
    const none = await run("init", "--update", "-c", join(folder, "nowhere.yaml"));
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("the file does not exist") });
    const other = await run("init", "--update", "-c", file, "-d", "other");
    expect(other).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`is for the database "${name}"`) });
    await writeFile(file, EDITED(name).replace("numeric(4,1)", "number"));
    const invalid = await run("init", "--update", "-c", file);
    expect(invalid).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("line 9, collections.products") });
  });
});
