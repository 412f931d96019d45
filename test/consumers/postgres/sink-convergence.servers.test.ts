import * as fc from "fast-check";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import type { TableName } from "../../../src/consumers/ports.ts";
import type { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { cellTexts } from "../../../src/schemas/decoding/cells.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { batchAt, deletion, freshSink, upsert } from "./fixture.ts";

const partitions = 3;

/** One content for each key and version, as the topics promise; every third version is a delete. */
function changeOf(key: number, version: number): Change {
  return (key + version) % 3 === 0 ? deletion(`k${key}`, version) : upsert(`k${key}`, version, contentOf(key, version));
}

function contentOf(key: number, version: number): string {
  return `${key}@${version}`;
}

/** What a consumer does with a partition's log: `sizes` are those of its micro-batches, over and over. */
async function consume(
  sink: PostgresSink,
  table: TableName,
  partition: number,
  log: readonly Change[],
  sizes: readonly number[],
): Promise<void> {
  for (let step = 0; ; step++) {
    const progress = await sink.readProgress([{ topic: "t", partition }]);
    const offset = Number(progress.get(partitionKey({ topic: "t", partition })));
    const changes = log.slice(offset, offset + sizes[step % sizes.length]!);
    if (changes.length === 0) return;
    await sink.apply(batchAt(offset, table, changes, partition));
    // A re-delivery, as after a lost answer.
    if (step % 3 === 0) expect(await sink.apply(batchAt(offset, table, changes, partition))).toBe("fenced");
  }
}

/** Keeps every state that a row has had. */
async function createAuditedTable(pool: Pool, { schema, table }: TableName): Promise<void> {
  await pool.query(`
    CREATE TABLE "${table}" (_id text PRIMARY KEY, _version bigint, value text);
    CREATE TABLE "${table}_audit" (seq bigserial, key text, version bigint, value text, gone boolean);
    CREATE FUNCTION "${table}_keep"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO "${schema}"."${table}_audit" (key, version, value, gone) VALUES
        (coalesce(NEW._id, OLD._id), coalesce(NEW._version, OLD._version), NEW.value, NEW IS NULL);
      RETURN NULL;
    END $$;
    CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON "${table}"
      FOR EACH ROW EXECUTE FUNCTION "${table}_keep"();`);
}

async function stepsBack(pool: Pool, table: string): Promise<string[]> {
  const { rows } = await pool.query(`SELECT key, version::int, value, gone FROM "${table}_audit" ORDER BY seq`);
  const last = new Map<string, number>();
  const violations: string[] = [];
  for (const { key, version, value, gone } of rows as {
    key: string;
    version: number;
    value: string;
    gone: boolean;
  }[]) {
    if (version < (last.get(key) ?? 0)) violations.push(`${key}: ${version} after ${last.get(key)}`);
    if (!gone && value !== contentOf(Number(key.slice(1)), version)) violations.push(`${key}@${version} is ${value}`);
    last.set(key, version);
  }
  return violations;
}

describe("tables converge to the newest version of each key", () => {
  test("however changes are split, delivered twice, applied by two consumers at once, and replayed", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    const rival = openSink();
    const replayer = openSink();
    let run = 0;
    const event = fc.record({ key: fc.nat(7), version: fc.integer({ min: 1, max: 40 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 1, maxLength: 150 }),
        fc.array(event, { maxLength: 25 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }),
        async (events, replays, sizes, otherSizes) => {
          const table = { schema, table: `run${run++}` };
          await createAuditedTable(pool, table);
          await sink.readProgress([]);
          await pool.query("TRUNCATE progress, dead_letters");
          const logs = Array.from({ length: partitions }, (_, partition) =>
            events
              .filter(({ key }) => key % partitions === partition)
              .map(({ key, version }) => changeOf(key, version)),
          );
          await Promise.all([
            ...logs.map((log, partition) => consume(sink, table, partition, log, sizes)),
            ...logs.map((log, partition) => consume(rival, table, partition, log, otherSizes)),
            (async () => {
              for (const [index, { key, version }] of replays.entries()) {
                const origin = { topic: "t", partition: key % partitions, offset: BigInt(index) };
                await replayer.replay(origin, 1, table, changeOf(key, version));
              }
            })(),
          ]);

          const newest = new Map<number, number>();
          for (const { key, version } of [...events, ...replays]) {
            newest.set(key, Math.max(version, newest.get(key) ?? 0));
          }
          const expected = [...newest]
            .map(([key, version]) => changeOf(key, version))
            .flatMap(({ key, version, cells }) =>
              cells === null ? [] : [{ _id: key, _version: String(version), value: cellTexts(cells)[0] }],
            )
            .toSorted((a, b) => (a._id < b._id ? -1 : 1));
          const { rows } = await pool.query(`SELECT _id, _version, value FROM "${table.table}" ORDER BY _id`);
          expect(rows).toEqual(expected);
          expect(await stepsBack(pool, table.table)).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("concurrent changes of one key in different sessions", () => {
  const rounds = 150;

  test("a replay during a newer delete does not bring the row back", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    const table = { schema, table: "hot" };
    const replayer = openSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    for (let round = 0; round < rounds; round++) {
      const offset = 2 * round;
      await sink.apply(batchAt(offset, table, [upsert("a", 10 * round + 1, "live")]));
      const origin = { topic: "t", partition: 0, offset: BigInt(round) };
      const meeting = [
        () => sink.apply(batchAt(offset + 1, table, [deletion("a", 10 * round + 3)])),
        () => replayer.replay(origin, 1, table, upsert("a", 10 * round + 2, "old")),
      ];
      if (round % 2 === 1) meeting.reverse();
      await Promise.all(meeting.map((start) => start()));
      const { rows } = await pool.query("SELECT * FROM hot");
      expect(rows).toEqual([]);
    }
  });

  test("a replayed delete during a newer upsert leaves the row", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    const table = { schema, table: "hot" };
    const replayers = [openSink(), openSink()];
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    for (let round = 0; round < rounds; round++) {
      const version = 10 * round;
      const meeting = [
        () => sink.apply(batchAt(round, table, [upsert("a", version + 5, "new")])),
        ...replayers.map(
          (replayer, index) => () =>
            replayer.replay(
              { topic: "t", partition: 0, offset: BigInt(2 * round + index) },
              1,
              table,
              deletion("a", version + 4),
            ),
        ),
      ];
      if (round % 2 === 1) meeting.reverse();
      await Promise.all(meeting.map((start) => start()));
      const { rows } = await pool.query("SELECT _version, value FROM hot");
      expect(rows).toEqual([{ _version: String(version + 5), value: "new" }]);
    }
  });
});
