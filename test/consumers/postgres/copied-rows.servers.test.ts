// Rows that are new are copied, in half of PostgreSQL's time. What comes out is what upserts would have made.
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { TableName } from "../../../src/consumers/ports.ts";
import { PostgresClient } from "../../../src/consumers/postgres/client.ts";
import type { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { errorCode } from "../../../src/errors/error.ts";
import { cellTexts } from "../../../src/schemas/decoding/cells.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { batchAt, deletion, freshSink, textSchema, upsert } from "./fixture.ts";

/** A row of a snapshot. */
function read(key: string, version: number, value: string | null, rowSchema = textSchema): Change {
  return { ...upsert(key, version, value, rowSchema), op: "r" };
}

const many = (change: (key: string) => Change, count = 150, from = 0) =>
  Array.from({ length: count }, (_, n) => change(`k${from + n}`));

/** The first words of the statements that are sent without a BEGIN. */
async function statementsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
  const words: string[] = [];
  // eslint-disable-next-line typescript/unbound-method
  const { session } = PostgresClient.prototype;
  const spy = vi.spyOn(PostgresClient.prototype, "session").mockImplementation(async function (
    this: PostgresClient,
    inSession,
    options,
  ) {
    const watched: Parameters<typeof session>[0] = (connection) =>
      inSession({
        isPooled: connection.isPooled,
        run: (...queries) => connection.run(...queries),
        commit: (...queries) => connection.commit(...queries),
        transact: (...queries) => {
          words.push(...queries.map(({ text }) => text.split(" ")[0] ?? ""));
          return connection.transact(...queries);
        },
      });
    return await session.call(this, watched, options);
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return words;
}

/** A sink that knows its partition, and what is written next. */
async function knowing(sink: PostgresSink, table: TableName, { first = read("first", 1, "1"), partition = 0 } = {}) {
  let at = 0;
  await sink.readProgress([{ topic: "t", partition }]);
  const apply = async (changes: readonly Change[]) => {
    const batch = batchAt(at, table, changes, partition);
    const outcome = await sink.apply(batch);
    at = Number(batch.nextOffset);
    return outcome;
  };
  await apply([first]);
  return apply;
}

test("rows of a snapshot and inserts are copied; other batches, and small ones, are not", async () => {
  const { schema, pool, sink } = await freshSink();
  const apply = await knowing(sink, { schema, table: "mine" });
  expect(await statementsOf(() => apply(many((key) => read(key, 1, key))))).toContain("COPY");
  expect(await statementsOf(() => apply(many((key) => ({ ...read(key, 2, key), op: "c" }), 150, 200)))).toContain(
    "COPY",
  );
  const mixed = [...many((key) => read(key, 3, key), 150, 400), upsert("k0", 3, "new")];
  expect(await statementsOf(() => apply(mixed))).not.toContain("COPY");
  expect(await statementsOf(() => apply(many((key) => read(key, 3, key), 50, 600)))).not.toContain("COPY");
  const { rows } = await pool.query(
    "SELECT count(*)::int AS n, count(*) FILTER (WHERE _id = value)::int AS equal FROM mine",
  );
  expect(rows).toEqual([{ n: 501, equal: 499 }]);
});

test("where a row exists, the newer one stays, and nothing is copied for a while", async () => {
  const { schema, pool, sink } = await freshSink();
  const apply = await knowing(sink, { schema, table: "mine" });
  await apply([upsert("k3", 9, "newer"), upsert("k4", 1, "older")]);
  expect(await apply(many((key) => read(key, 5, "copied")))).toBe("applied");
  const { rows } = await pool.query("SELECT value, count(*)::int FROM mine WHERE _id <> 'first' GROUP BY 1 ORDER BY 1");
  expect(rows).toEqual([
    { value: "copied", count: 149 },
    { value: "newer", count: 1 },
  ]);
  expect(await statementsOf(() => apply(many((key) => read(key, 5, key), 150, 500)))).not.toContain("COPY");
});

test("where a document was deleted, a copied state of it that is older does not come back", async () => {
  const { schema, pool, sink, openSink } = await freshSink();
  const table = { schema, table: "mine" };
  const apply = await knowing(sink, table);
  await openSink().readProgress([{ topic: "t", partition: 1 }]);
  await openSink().apply(batchAt(0, table, [deletion("elsewhere", 9)], 1));
  expect(await apply(many((key) => read(key, 5, key)))).toBe("applied");
  await apply([deletion("k7", 9)]);
  expect(await apply(many((key) => read(key, 6, "again")))).toBe("applied");
  const { rows } = await pool.query("SELECT count(*)::int AS n FROM mine WHERE _id = 'k7'");
  expect(rows).toEqual([{ n: 0 }]);
});

test("a copy that another consumer has made is fenced, also at the same time", async () => {
  const { schema, pool, sink, openSink } = await freshSink();
  const table = { schema, table: "mine" };
  const rival = openSink();
  for (const each of [sink, rival]) await each.readProgress([{ topic: "t", partition: 0 }]);
  await sink.apply(batchAt(0, table, [read("first", 1, "1")]));
  for (let round = 0, at = 1; round < 10; round++, at += 150) {
    const batch = batchAt(
      at,
      table,
      many((key) => read(key, 1, key), 150, 1_000 * round),
    );
    const outcomes = await Promise.all([sink, rival].map((each) => each.apply(batch)));
    expect(outcomes.toSorted()).toEqual(["applied", "fenced"]);
  }
  expect((await pool.query("SELECT count(*)::int AS n FROM mine")).rows).toEqual([{ n: 1_501 }]);
});

test("a row that the table refuses is an error of that batch, as without copying", async () => {
  const { schema, pool, sink } = await freshSink();
  const apply = await knowing(sink, { schema, table: "mine" });
  await pool.query("ALTER TABLE mine ADD CHECK (value <> 'bad')");
  const bad = [...many((key) => read(key, 1, key)), read("z", 1, "bad")];
  await expect(apply(bad)).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
  expect((await pool.query("SELECT count(*)::int AS n FROM mine")).rows).toEqual([{ n: 1 }]);
});

/** Types of columns, and texts that their input functions take, change or refuse. */
const VALUES: Readonly<Record<string, readonly (string | null)[]>> = {
  text: ["", "a\\b\tc\nd", "\\N", null],
  "character varying(5)": ["abc", "abc   ", "abcdef", "äöüßé"],
  "character(3)": ["a", "abc ", "abcd", ""],
  character: ["a", "ab"],
  "numeric(5,2)": ["1.005", "-0.004", "99999", "NaN", "1e2"],
  numeric: ["123456789012345678901234567890.000001", "NaN", "Infinity", "-0"],
  smallint: ["32767", "32768"],
  integer: ["-2147483648", "2147483648", "1.5"],
  bigint: ["9223372036854775807", "9223372036854775808"],
  real: ["1.1", "1e39", "NaN", "-0", "1e-46"],
  "double precision": ["1.7976931348623157e308", "-Infinity", "5e-324", "-0"],
  boolean: ["true", "false"],
  date: ["2026-02-28", "0044-03-15 BC", "10000-01-01", "2026-02-30"],
  "timestamp without time zone": ["2026-11-29T12:00:00.123456", "0001-01-01T00:00:00 BC"],
  "timestamp with time zone": ["2026-11-29T12:00:00.123456Z", "9999-12-31T23:59:59.9999Z"],
  uuid: ["00112233-4455-6677-8899-aabbccddeeff", "no"],
  bytea: ["\\x00ff", "\\x", "\\xzz"],
  jsonb: ['{"a":"\\u00e9\\n"}', "[1.10]", '"\\\\"', '{"a":"\\u0000"}', "{"],
  "text[]": ['{"a","b\\"c\\\\",NULL,""}', "{}"],
  "numeric[]": ['{"1.10",NULL}', '{"x"}'],
};

const shared = await freshSink();
let partition = 0;

test.each(Object.entries(VALUES))("a value of type %s is copied as it is upserted", async (sqlType, texts) => {
  const { schema, pool, sink } = shared;
  const rowSchema = { idType: "string" as const, columns: [{ name: "value", sqlType }] };
  for (const text of texts) {
    const outcomes = [];
    for (const op of ["r", "u"] as const) {
      const table = `of${++partition}`;
      await pool.query(`CREATE TABLE ${table} (_id text PRIMARY KEY, _version bigint, value ${sqlType})`);
      const apply = await knowing(sink, { schema, table }, { first: read("first", 1, null, rowSchema), partition });
      const failure = await apply(many((key) => ({ ...read(key, 1, text, rowSchema), op }))).then(
        () => null,
        (error: unknown) => errorCode(error),
      );
      const { rows } = await pool.query(`SELECT value::text, count(*)::int FROM ${table} GROUP BY 1 ORDER BY 1`);
      outcomes.push({ failure, rows });
    }
    expect(outcomes[0], JSON.stringify(text)).toEqual(outcomes[1]);
  }
});

test("a copy beside a stream converges to the newest version of each key, and none steps back", async () => {
  const { schema, pool, sink, openSink } = await freshSink();
  const rival = openSink();
  let run = 0;
  const keys = 300;
  const change = fc.record({ key: fc.nat(keys - 1), version: fc.integer({ min: 1, max: 40 }), at: fc.nat(keys) });
  const contentOf = (key: string, version: number): Change =>
    version % 5 === 0 ? deletion(key, version) : upsert(key, version, `${key}@${version}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 40 }),
      fc.integer({ min: 1, max: 40 }).filter((version) => version % 5 !== 0),
      fc.array(fc.integer({ min: 80, max: 200 }), { minLength: 1, maxLength: 4 }),
      async (changes, copiedAt, sizes) => {
        const table = { schema, table: `run${run++}` };
        await sink.readProgress([]);
        await pool.query("TRUNCATE progress");
        const log: Change[] = many((key) => ({ ...contentOf(key, copiedAt), op: "r" as const }), keys);
        for (const { key, version, at } of changes) log.splice(at, 0, contentOf(`k${key}`, version));
        await Promise.all([sink, rival].map((each) => consume(each, table, log, sizes)));
        const newest = new Map<string, Change>();
        for (const each of log) if (each.version >= (newest.get(each.key)?.version ?? 0n)) newest.set(each.key, each);
        const expected = [...newest.values()]
          .flatMap(({ key, cells }) => (cells === null ? [] : [{ _id: key, value: cellTexts(cells)[0] }]))
          .toSorted((a, b) => (a._id < b._id ? -1 : 1));
        const { rows } = await pool.query(`SELECT _id, value FROM "${table.table}" ORDER BY _id COLLATE "C"`);
        expect(rows).toEqual(expected);
      },
    ),
    { numRuns: 20 },
  );
});

async function consume(
  sink: PostgresSink,
  table: TableName,
  log: readonly Change[],
  sizes: readonly number[],
): Promise<void> {
  const place = { topic: "t", partition: 0 };
  for (let step = 0; ; step++) {
    const offset = Number((await sink.readProgress([place])).get(partitionKey(place)));
    const changes = log.slice(offset, offset + sizes[step % sizes.length]!);
    if (changes.length === 0) return;
    await sink.apply(batchAt(offset, table, changes));
  }
}
