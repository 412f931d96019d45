import { isDeadLetterHeader } from "../../schemas/dead-letter.ts";
import type { DeadLetterArchive, KeptLetter, LogRecord } from "../ports.ts";
import type { PostgresClient } from "../postgres/client.ts";
import { quoteIdentifier } from "../postgres/sql/upsert-sql.ts";

const STEP_ROWS = 500;

export interface PostgresArchiveOptions {
  readonly client: PostgresClient;
  /** The schema of Headrace's own tables. */
  readonly internalSchema: string;
  /** Makes sure that Headrace's own tables exist. */
  readonly prepare: () => Promise<void>;
  /** The dead-letter topic. */
  readonly topic: string;
}

/** The open dead letters in PostgreSQL: `headrace.open_letters`. */
export class PostgresArchive implements DeadLetterArchive {
  readonly #options: PostgresArchiveOptions;
  readonly #table: string;

  constructor(options: PostgresArchiveOptions) {
    this.#options = options;
    this.#table = `${quoteIdentifier(options.internalSchema)}.open_letters`;
  }

  async read(): Promise<readonly LogRecord[]> {
    const { client, topic, prepare } = this.#options;
    await prepare();
    const [found] = await client.run({
      text: `SELECT dlq_partition, dlq_offset::text, encode(record_key, 'hex') AS record_key, headers,
  extract(epoch FROM written_at)::text AS written_at
FROM ${this.#table} WHERE dlq_topic = $1 ORDER BY dlq_partition, dlq_offset`,
      values: [topic],
    });
    return (found?.rows ?? []).map((row) => ({
      topic,
      partition: Number(row["dlq_partition"]),
      offset: BigInt(String(row["dlq_offset"])),
      key: typeof row["record_key"] === "string" ? Buffer.from(row["record_key"], "hex") : null,
      value: null,
      headers: headersOf(String(row["headers"])),
      timestampMs: Number(row["written_at"]) * 1000,
    }));
  }

  async keep(letters: readonly KeptLetter[]): Promise<void> {
    const { client, topic, prepare } = this.#options;
    await prepare();
    for (let start = 0; start < letters.length; start += STEP_ROWS) {
      const step = letters.slice(start, start + STEP_ROWS);
      await client.run({
        text: `INSERT INTO ${this.#table} AS known
  (topic, id, dlq_topic, dlq_partition, dlq_offset, record_key, headers, written_at)
SELECT topic, id, $3, partition, "offset", decode(key, 'hex'), headers, to_timestamp(written_at)
FROM unnest($1::text[], $2::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::float8[])
  AS letter (topic, id, partition, "offset", key, headers, written_at)
ORDER BY topic, id
ON CONFLICT (topic, id) DO UPDATE SET dlq_topic = EXCLUDED.dlq_topic, dlq_partition = EXCLUDED.dlq_partition,
  dlq_offset = EXCLUDED.dlq_offset, record_key = EXCLUDED.record_key, headers = EXCLUDED.headers,
  written_at = EXCLUDED.written_at
WHERE known.dlq_offset <> EXCLUDED.dlq_offset`,
        values: [
          step.map((letter) => letter.topic),
          step.map(({ id }) => id),
          topic,
          step.map(({ record }) => record.partition),
          step.map(({ record }) => String(record.offset)),
          step.map(({ record }) => record.key?.toString("hex") ?? null),
          step.map(({ record }) => headersText(record.headers)),
          step.map(({ record }) => record.timestampMs / 1000),
        ],
      });
    }
  }

  async forget(ids: readonly string[]): Promise<void> {
    const { client, topic, prepare } = this.#options;
    await prepare();
    await client.run({
      text: `DELETE FROM ${this.#table} WHERE dlq_topic = $1 AND id = ANY ($2)`,
      values: [topic, ids],
    });
  }
}

/** As JSON in a text: PostgreSQL's JSON types refuse some characters. The record's own headers went with the record. */
function headersText(headers: LogRecord["headers"]): string {
  const own = Object.entries(headers).filter(([name]) => isDeadLetterHeader(name));
  return JSON.stringify(own.map(([name, value]) => [name, value?.toString("utf8") ?? ""]));
}

function headersOf(text: string): LogRecord["headers"] {
  const headers = JSON.parse(text) as (readonly [string, string])[];
  return Object.fromEntries(headers.map(([name, value]) => [name, Buffer.from(value)]));
}
