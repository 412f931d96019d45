// What the servers do without Headrace, measured in the same run as each figure of the pipeline.
import { Kafka, logLevel } from "kafkajs";
import type { Collection, Timestamp } from "mongodb";
import { Client } from "pg";
import type { Pool } from "pg";
import type { Stack } from "../dev/stack/types.ts";

const BATCHES = [1_000, 2_000, 5_000];
/** Rows per trial to find the best batch size. */
const TRIAL_ROWS = 30_000;
/** Limit for the parameters of a statement, which the client joins to one text. */
const MOST_STATEMENT_BYTES = 64 * 1024 * 1024;
/** Limit for the rows of the measurement. */
const MOST_ROWS = 300_000;

interface CopiedTable {
  readonly pool: Pool;
  /** Quoted. */
  readonly table: string;
  /** Quoted. Created and dropped here. */
  readonly copy: string;
}

/** Rows per second that one plain connection upserts from a table into a copy of it, with the best batch size. */
export async function upsertLimit({ pool, table, copy }: CopiedTable): Promise<number> {
  const { rows: columns } = await pool.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  const measure = async (batch: number, most: number): Promise<number> => {
    await pool.query(`DROP TABLE IF EXISTS ${copy}; CREATE TABLE ${copy} (LIKE ${table} INCLUDING ALL)`);
    return await upsertAll(pool, { table, copy, columns, batch, most });
  };
  const fitting = await batchesThatFit(pool, table);
  let [best, bestRate] = [0, 0];
  for (const batch of fitting) {
    const rate = await measure(batch, TRIAL_ROWS);
    if (rate > bestRate) [best, bestRate] = [batch, rate];
  }
  const rate = await measure(best, MOST_ROWS);
  await pool.query(`DROP TABLE ${copy}`);
  return rate;
}

/** The batch sizes whose statements are not too large; at least one. */
async function batchesThatFit(pool: Pool, table: string): Promise<readonly number[]> {
  const { rows } = await pool.query<{ bytes: number }>(
    `SELECT max(octet_length(few::text)) AS bytes FROM (SELECT * FROM ${table} LIMIT 10) AS few`,
  );
  const most = Math.max(1, Math.floor(MOST_STATEMENT_BYTES / (rows[0]?.bytes ?? 1)));
  const fitting = BATCHES.filter((batch) => batch <= most);
  return fitting.length === 0 ? [most] : fitting;
}

interface Upserts {
  readonly table: string;
  readonly copy: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly batch: number;
  readonly most: number;
}

/** Times the upserts, not the reading. */
async function upsertAll(pool: Pool, { table, copy, columns, batch, most }: Upserts): Promise<number> {
  const reader = await pool.connect();
  const writer = await pool.connect();
  const names = columns.map(({ name }) => `"${name}"`);
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`);
  const values = columns.map(({ type }, index) => `c${index}::${type}`);
  const aliases = columns.map((_, index) => `c${index}`);
  const sets = names.filter((name) => name !== '"_id"').map((name) => `${name} = EXCLUDED.${name}`);
  const text = `INSERT INTO ${copy} (${names.join()}) SELECT ${values.join()} FROM unnest(${arrays.join()}) AS t (${aliases.join()})
    ON CONFLICT ("_id") DO UPDATE SET ${sets.join()}`;
  let [rows, elapsedMs] = [0, 0];
  try {
    await reader.query("BEGIN");
    const texts = names.map((name) => `${name}::text`);
    await reader.query(`DECLARE all_rows NO SCROLL CURSOR FOR SELECT ${texts.join()} FROM ${table}`);
    while (rows < most) {
      const read = await reader.query<(string | null)[]>({ text: `FETCH ${batch} FROM all_rows`, rowMode: "array" });
      if (read.rows.length === 0) break;
      const parameters = columns.map((_, index) => read.rows.map((row) => row[index] ?? null));
      const began = performance.now();
      await writer.query({ name: `upsert_${batch}`, text, values: parameters });
      elapsedMs += performance.now() - began;
      rows += read.rows.length;
    }
  } finally {
    await reader.query("ROLLBACK");
    reader.release();
    writer.release(true);
  }
  return (rows / elapsedMs) * 1_000;
}

/** Events per second of a plain change stream without look-ups. Reads `events` events from the time `since` on. */
export async function changeStreamLimit(collection: Collection, since: Timestamp, events: number): Promise<number> {
  // Not watch(), which reads the resume token of each event.
  const options = { batchSize: 4_000, raw: true };
  const stream = collection.aggregate([{ $changeStream: { startAtOperationTime: since } }], options);
  const began = performance.now();
  try {
    for (let seen = 0; seen < events; seen++) await stream.next();
  } finally {
    await stream.close();
  }
  return (events / (performance.now() - began)) * 1_000;
}

/** Times in ms: for each key, one acknowledged Produce request and then one committed update of its row. */
export async function writeLimit(stack: Stack, table: string, keys: readonly string[]): Promise<number[]> {
  const topic = `headrace_bench_limit_${Date.now()}`;
  const kafka = new Kafka({ brokers: stack.kafkaBrokers.split(","), logLevel: logLevel.NOTHING });
  const [admin, producer] = [kafka.admin(), kafka.producer()];
  const client = new Client({ connectionString: stack.postgresUrl });
  await Promise.all([admin.connect(), producer.connect(), client.connect()]);
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true });
    const times: number[] = [];
    for (const key of keys) {
      const began = performance.now();
      await producer.send({ topic, acks: -1, messages: [{ key, value: "x".repeat(500) }] });
      const text = `UPDATE ${table} SET _version = _version WHERE _id = $1`;
      await client.query({ name: "touch", text, values: [key] });
      times.push(performance.now() - began);
    }
    return times;
  } finally {
    await admin.deleteTopics({ topics: [topic] });
    await Promise.all([admin.disconnect(), producer.disconnect(), client.end()]);
  }
}
