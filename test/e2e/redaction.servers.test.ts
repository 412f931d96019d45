// Redacted values are nowhere: not in Kafka, not in PostgreSQL, not in the logs or metrics.
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { scanTopic } from "../../src/kafka/topic-reader.ts";
import { listTopics } from "../../src/kafka/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

const SECRET = "planted-secret-7f3a";
const HASH_KEY = "a-key-of-the-hashes-5b1c";

const REDACT = { mail: "drop", "address.phone": "null", "people.mail": "hash" };
const COLLECTIONS = {
  customers: {
    idType: "integer",
    columns: { name: "text" },
    children: { people: { columns: { mail: "text", n: "integer" } } },
    redact: REDACT,
  },
  leads: { idType: "integer", redact: REDACT },
};

function customer(_id: number) {
  return {
    _id,
    name: "n",
    mail: `${SECRET}@mail`,
    address: { phone: [SECRET], city: "c" },
    // 1.5 is a misfit, so that the element has an `_extra`.
    people: [
      { mail: SECRET, n: 1 },
      { mail: { deep: SECRET }, n: 1.5 },
    ],
  };
}

/** Everything that the topics of the pipeline have, byte by byte. */
async function bytesInKafka({ name }: Pipeline): Promise<string> {
  const kafka = connectKafka();
  const parts: Buffer[] = [];
  for (const topic of await listTopics(kafka, (each) => each.includes(name)))
    await scanTopic(kafka, { topic, signal: new AbortController().signal, doing: "looking for secrets" }, (record) => {
      const headers = Buffer.from(JSON.stringify(record.headers ?? {}));
      parts.push(record.key ?? Buffer.alloc(0), record.value ?? Buffer.alloc(0), headers);
    });
  return Buffer.concat(parts).toString("latin1");
}

/** Every row of the pipeline's tables, and of Headrace's own, as text. */
async function textsInPostgres({ pool, schema }: Pipeline): Promise<string> {
  const { rows } = await pool.query<{ name: string }>(
    "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ($1, 'headrace')",
    [schema],
  );
  const texts = await Promise.all(
    rows.map(async ({ name }) =>
      (await pool.query<{ t: string }>(`SELECT t::text FROM ${name} AS t`)).rows.map(({ t }) => t),
    ),
  );
  return texts.flat().join("\n");
}

test("redacted values reach neither Kafka nor PostgreSQL, the dead letters, the logs or the metrics", async () => {
  const pipeline = await freshPipeline({
    collections: COLLECTIONS,
    documents: { hashKey: HASH_KEY, nulCharacters: "dead-letter" },
    log: { level: "debug" },
    http: { port: 0 },
  });
  const { db, pool, schema } = pipeline;
  for (const name of ["customers", "leads"]) await db.collection<{ _id: number }>(name).insertOne(customer(1));
  const process = pipeline.start("run");
  onTestFinished(() => process.stop());
  expect(await pipeline.run("status", "--wait-for", "now", "--timeout", "90")).toMatchObject({ exitCode: 0 });
  for (const name of ["customers", "leads"]) {
    const collection = db.collection<{ _id: number; name?: string }>(name);
    await collection.insertOne(customer(2));
    await collection.updateOne({ _id: 1 }, { $set: { name: "changed" } });
    // A document that cannot be encoded becomes a dead letter.
    await collection.insertOne({ ...customer(3), name: "a\0b" });
  }
  expect(await pipeline.run("status", "--wait-for", "now", "--timeout", "90")).toMatchObject({ exitCode: 0 });

  const { port } = JSON.parse(
    (await readFile(process.logFile, "utf8")).split("\n").find((line) => line.includes("serving metrics")) ?? "{}",
  ) as { port: number };
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const letters = await pipeline.run("dlq", "show", "--all", "--json");
  const [kafka, postgres, log] = [
    await bytesInKafka(pipeline),
    await textsInPostgres(pipeline),
    await readFile(process.logFile, "utf8"),
  ];
  expect(kafka).toContain("changed");
  expect(metrics).toContain("headrace_dead_letters_total");
  for (const text of [kafka, postgres, log, metrics, letters.stdout, letters.stderr]) {
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain(HASH_KEY);
  }

  const verified = await pipeline.run("verify", "--json");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({
    collections: [
      { different: [], missing: [] },
      { different: [], missing: [] },
    ],
  });

  const hash = createHmac("sha256", HASH_KEY).update(SECRET).digest("hex");
  const { rows } = await pool.query(`SELECT _id::int, name, _extra FROM "${schema}".customers ORDER BY _id`);
  expect(rows).toEqual([
    { _id: 1, name: "changed", _extra: { address: { phone: null, city: "c" } } },
    { _id: 2, name: "n", _extra: { address: { phone: null, city: "c" } } },
  ]);
  const people = await pool.query(`SELECT mail FROM "${schema}".customers_people WHERE _position = 0 ORDER BY _parent`);
  expect(people.rows).toEqual([{ mail: hash }, { mail: hash }]);
  const leads = await pool.query<{ doc: { people: { mail: string }[] } }>(
    `SELECT doc FROM "${schema}".leads WHERE _id = 1`,
  );
  expect(leads.rows[0]?.doc).toMatchObject({ address: { phone: null }, people: [{ mail: hash }, { n: 1.5 }] });
  expect(Object.keys(leads.rows[0]?.doc ?? {})).not.toContain("mail");
});
