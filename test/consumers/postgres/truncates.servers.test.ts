import * as fc from "fast-check";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import type { TableName } from "../../../src/consumers/ports.ts";
import type { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { errorKind } from "../../../src/errors/error.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { batchAt, deletion, freshSink, textSchema, truncate, upsert } from "./fixture.ts";

const PARTITIONS = 3;

/** What happened in the collection, in order: versions are the places. A key is -1 in a truncate. */
interface Happening {
  readonly key: number;
  readonly isDelete: boolean;
  /** Goes to the DLQ, to be replayed at some time. */
  readonly isBuried: boolean;
}

const happening: fc.Arbitrary<Happening> = fc.record({
  key: fc.oneof({ weight: 12, arbitrary: fc.nat(8) }, { weight: 1, arbitrary: fc.constant(-1) }),
  isDelete: fc.boolean(),
  isBuried: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

function changeOf({ key, isDelete }: Happening, version: number): Change {
  if (key === -1) return truncate(version);
  return isDelete ? deletion(`k${key}`, version) : upsert(`k${key}`, version, contentOf(`k${key}`, version));
}

function contentOf(key: string, version: number | bigint): string {
  return `${key}@${version}`;
}

/** The collection at the end: rows of `_id` and `_version`. */
function model(happenings: readonly Happening[]): Map<string, string> {
  const rows = new Map<string, string>();
  for (const [index, { key, isDelete }] of happenings.entries()) {
    if (key === -1) rows.clear();
    else if (isDelete) rows.delete(`k${key}`);
    else rows.set(`k${key}`, String(index + 1));
  }
  return rows;
}

/** In the order of `ranks`, over and over: nothing in the sink leans on the order of versions. */
function shuffled<T>(items: readonly T[], ranks: readonly number[]): T[] {
  return items
    .map((item, index) => ({ item, rank: ranks[index % ranks.length]! + index }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

/** What holds for each state that a row gets: its content is the version's, and its version is no lower than before. */
async function createGuardedTable(pool: Pool, { schema, table }: TableName, crashEvery: number): Promise<void> {
  await pool.query(`
    CREATE TABLE "${table}" (_id text PRIMARY KEY, _version bigint, value text);
    CREATE TABLE "${table}_audit" (seq bigserial, key text, version bigint, value text, gone boolean);
    CREATE SEQUENCE "${table}_writes";
    CREATE FUNCTION "${table}_keep"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('"${schema}"."${table}_writes"') % ${crashEvery} = 0 THEN
        RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'a crash';
      END IF;
      INSERT INTO "${schema}"."${table}_audit" (key, version, value, gone) VALUES
        (coalesce(NEW._id, OLD._id), coalesce(NEW._version, OLD._version), NEW.value, NEW IS NULL);
      RETURN NULL;
    END $$;
    CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON "${table}"
      FOR EACH ROW EXECUTE FUNCTION "${table}_keep"();`);
}

async function violations(pool: Pool, table: string): Promise<string[]> {
  const { rows } = await pool.query(`SELECT key, version, value, gone FROM "${table}_audit" ORDER BY seq`);
  const last = new Map<string, bigint>();
  return (rows as { key: string; version: string; value: string; gone: boolean }[]).flatMap((row) => {
    const version = BigInt(row.version);
    const before = last.get(row.key) ?? 0n;
    last.set(row.key, version);
    const isWrong = version < before || (!row.gone && row.value !== contentOf(row.key, version));
    return isWrong ? [`${row.key}@${version} after @${before}, value ${row.value}`] : [];
  });
}

/** Until it succeeds, like a process that is started again. */
async function withRestarts<T>(step: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (errorKind(error) !== "retryable") throw error;
    }
  }
}

async function consume(
  sink: PostgresSink,
  table: TableName,
  partition: number,
  log: readonly Change[],
  sizes: readonly number[],
): Promise<void> {
  const position = { topic: "t", partition };
  for (let step = 0; ; step++) {
    const progress = await sink.readProgress([position]);
    const offset = Number(progress.get(partitionKey(position)));
    const changes = log.slice(offset, offset + sizes[step % sizes.length]!);
    if (changes.length === 0) return;
    await withRestarts(() => sink.apply(batchAt(offset, table, changes, partition)));
  }
}

/** How many sessions wait for a lock that another one holds. */
async function waitingFor(pool: Pool, pid: number): Promise<number | null> {
  return (await pool.query("SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", [pid])).rowCount;
}

describe("tables with truncates in all partitions", () => {
  test("converge to the collection, whatever the order, with crashes, rival consumers and replays", async () => {
    const { schema, pool, sink, openSink } = await freshSink(() => Promise.resolve(PARTITIONS));
    const rival = openSink();
    const replayer = openSink();
    let run = 0;
    const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(happening, { minLength: 1, maxLength: 120 }),
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 10 }),
        sizes,
        sizes,
        fc.integer({ min: 7, max: 50 }),
        async (happenings, ranks, ownSizes, rivalSizes, crashEvery) => {
          const table = { schema, table: `run${run++}` };
          await createGuardedTable(pool, table, crashEvery);
          await sink.readProgress([]);
          await pool.query("TRUNCATE progress, dead_letters");
          const isIn = (key: number, partition: number): boolean => key === -1 || key % PARTITIONS === partition;
          const partitions = Array.from({ length: PARTITIONS }, (_, partition) => {
            const own = happenings.flatMap((each, index) =>
              isIn(each.key, partition) ? [{ change: changeOf(each, index + 1), isBuried: each.isBuried }] : [],
            );
            const log = own.filter(({ isBuried }) => !isBuried).map(({ change }) => change);
            return {
              partition,
              log: shuffled(log, ranks),
              // The others are replayed, too, as a rewind of the DLQ would do.
              replays: shuffled(
                own.filter(({ isBuried }, index) => isBuried || index % 4 === 0).map(({ change }) => change),
                ranks,
              ),
            };
          });
          await Promise.all(
            partitions.flatMap(({ partition, log, replays }) => [
              consume(sink, table, partition, log, ownSizes),
              consume(rival, table, partition, log, rivalSizes),
              (async () => {
                for (const [offset, change] of replays.entries()) {
                  const origin = { topic: "t", partition, offset: BigInt(offset) };
                  await withRestarts(() => replayer.replay(origin, 1, table, change));
                }
              })(),
            ]),
          );

          const { rows } = await pool.query(`SELECT _id, _version, value FROM "${table.table}"`);
          expect(new Map(rows.map(({ _id, _version }) => [_id as string, _version as string]))).toEqual(
            model(happenings),
          );
          expect(await violations(pool, table.table)).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("concurrent truncates", () => {
  test("in two partitions both count", async () => {
    const { schema, pool, sink, openSink } = await freshSink(() => Promise.resolve(2));
    const table = { schema, table: "hot" };
    const rival = openSink();
    await sink.readProgress([0, 1].map((partition) => ({ topic: "t", partition })));
    for (let round = 0; round < 100; round++) {
      const version = 10 * round + 1;
      await sink.apply(batchAt(2 * round, table, [upsert("a", version, "old")]));
      await rival.apply(batchAt(2 * round, table, [upsert("b", version, "old")], 1));
      await Promise.all([
        sink.apply(batchAt(2 * round + 1, table, [truncate(version + 1)])),
        rival.apply(batchAt(2 * round + 1, table, [truncate(version + 1)], 1)),
      ]);
      expect((await pool.query("SELECT * FROM hot")).rows).toEqual([]);
    }
  });

  test("make an older change of their partition, which waits for the lock, have no effect", async () => {
    const { schema, pool, sink } = await freshSink();
    const table = { schema, table: "hot" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table, [upsert("a", 20, "new")]));
    const other = await pool.connect();
    const { rows } = await other.query("SELECT pg_backend_pid() AS pid");
    await other.query("BEGIN; SELECT FROM progress FOR UPDATE");
    const applied = sink.apply(batchAt(1, table, [upsert("b", 9, "old")]));
    await expect.poll(() => waitingFor(pool, rows[0].pid as number)).toBe(1);
    await other.query(`INSERT INTO truncates VALUES ('"${schema}"."hot"', 't', 0, 10); COMMIT`);
    other.release();
    expect(await applied).toBe("applied");
    expect((await pool.query("SELECT _id FROM hot")).rows).toEqual([{ _id: "a" }]);
  });
});

describe("a sweep", () => {
  const table = (schema: string): TableName => ({ schema, table: "products" });
  const rowsOf = async (pool: Pool): Promise<unknown[]> =>
    (await pool.query("SELECT _id, _version FROM products ORDER BY _id")).rows;

  test("deletes rows without a version, also more than one step holds", async () => {
    const { schema, pool, sink } = await freshSink();
    await pool.query(`CREATE TABLE products (_id text PRIMARY KEY, _version bigint, value text);
      INSERT INTO products SELECT 'k' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE n % 10 END FROM generate_series(1, 12000) AS n;
      INSERT INTO products VALUES ('', 10), ('a', 10), ('z', 11)`);
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table(schema), [truncate(10)]));
    expect(await rowsOf(pool)).toEqual(["", "a", "z"].map((_id) => ({ _id, _version: _id === "z" ? "11" : "10" })));
  });

  test.each([
    ["bigint", "integer", ["1", "2", "10"]],
    ["uuid", "uuid", ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]],
  ] as const)("goes over keys of the type %s", async (_, idType, keys) => {
    const { schema, pool, sink } = await freshSink();
    const rowSchema = { ...textSchema, idType };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const changes = keys.map((key, index) => upsert(key, index === 1 ? 5 : 1, "old", rowSchema));
    await sink.apply(batchAt(0, table(schema), changes));
    await sink.apply(batchAt(changes.length, table(schema), [{ ...truncate(5), rowSchema }]));
    expect(await rowsOf(pool)).toEqual([{ _id: keys[1], _version: "5" }]);
  });

  test("deletes only older rows of a partitioned table", async () => {
    const { schema, pool, sink } = await freshSink();
    await pool.query(`CREATE TABLE products (_id text PRIMARY KEY, _version bigint, value text) PARTITION BY HASH (_id);
      CREATE TABLE products_0 PARTITION OF products FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE products_1 PARTITION OF products FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      INSERT INTO products SELECT 'k' || n, n % 2 FROM generate_series(1, 200) AS n`);
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table(schema), [truncate(1)]));
    expect((await pool.query("SELECT _version, count(*)::int FROM products GROUP BY 1")).rows).toEqual([
      { _version: "1", count: 100 },
    ]);
  });

  test("that was interrupted between two steps runs again before the progress moves past its truncate", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    await pool.query(`CREATE TABLE products (_id text PRIMARY KEY, _version bigint, value text);
      INSERT INTO products SELECT 'k' || lpad(n::text, 5, '0'), 1 FROM generate_series(1, 12000) AS n;
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION USING ERRCODE = '57P01';
      END $$;
      CREATE TRIGGER refuse BEFORE DELETE ON products FOR EACH ROW WHEN (OLD._id = 'k07000') EXECUTE FUNCTION refuse()`);
    const position = { topic: "t", partition: 0 };
    await sink.readProgress([position]);
    const batch = batchAt(0, table(schema), [truncate(10), upsert("new", 11, "new")]);
    await expect(sink.apply(batch)).rejects.toMatchObject({ kind: "retryable" });
    expect(await rowsOf(pool)).toHaveLength(7000);
    expect((await sink.readProgress([position])).get(partitionKey(position))).toBe(0n);

    await pool.query("DROP TRIGGER refuse ON products");
    expect(await openSink().apply(batch)).toBe("applied");
    expect(await rowsOf(pool)).toEqual([{ _id: "new", _version: "11" }]);
  });

  test("skips a row that another session is writing, waits for it at the end, and spares it if it is newer then", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table(schema), [upsert("a", 1, "old"), upsert("b", 1, "old")]));
    const other = await pool.connect();
    const { rows } = await other.query("SELECT pg_backend_pid() AS pid");
    await other.query("BEGIN");
    await other.query("UPDATE products SET _version = 20 WHERE _id = 'a'");
    const applied = sink.apply(batchAt(2, table(schema), [truncate(10)]));
    await expect.poll(() => waitingFor(pool, rows[0].pid as number)).toBe(1);
    expect(await rowsOf(pool)).toEqual([{ _id: "a", _version: "1" }]);
    await other.query("COMMIT");
    other.release();
    expect(await applied).toBe("applied");
    expect(await rowsOf(pool)).toEqual([{ _id: "a", _version: "20" }]);
  });
});

test("another truncate of the same version deletes rows that were written by hand since", async () => {
  const { schema, pool, sink } = await freshSink(() => Promise.resolve(2));
  const table = { schema, table: "mine" };
  const partitions = [0, 1].map((partition) => ({ topic: "t", partition }));
  await sink.readProgress(partitions);
  const truncateAll = async (expectedOffset: bigint): Promise<void> => {
    for (const partition of partitions) {
      const batch = { ...partition, table, expectedOffset, nextOffset: expectedOffset + 1n };
      expect(await sink.apply({ ...batch, changes: [truncate(10)] })).toBe("applied");
    }
  };
  await truncateAll(0n);
  await pool.query("INSERT INTO mine (_id, _version) VALUES ('old', 9), ('none', NULL), ('new', 10)");
  await truncateAll(1n);
  expect((await pool.query("SELECT _id FROM mine")).rows).toEqual([{ _id: "new" }]);
});
