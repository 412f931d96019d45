import { describe, expect, test, vi } from "vitest";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import { uniqueName } from "../../support/servers.ts";
import { batchAt, behindProxy, freshSink, onePartition, upsert, urlWith } from "./fixture.ts";

describe("a connection that is lost in a transaction of the sink", () => {
  const TRIPS = {
    "with BEGIN and COMMIT": { commit: "COMMIT\0", answer: "COMMIT\0" },
    "in one round trip": { commit: "headrace_move_expected_progress", answer: "INSERT 0 1\0Z\0\0\0\u0005I" },
  };

  /** A sink whose connections are cut at a certain moment, once; `sink` goes around that. */
  async function cuttable(when: "before the commit" | "before its answer", trips: keyof typeof TRIPS) {
    const fixture = await freshSink();
    let armed = false;
    const { client } = await behindProxy((cut) => {
      const cutAt = (moment: typeof when, text: string, chunk: Buffer): Buffer => {
        if (!armed || when !== moment || !chunk.includes(text)) return chunk;
        armed = false;
        cut();
        return Buffer.alloc(0);
      };
      return {
        request: (chunk) => cutAt("before the commit", TRIPS[trips].commit, chunk),
        response: (chunk) => cutAt("before its answer", TRIPS[trips].answer, chunk),
      };
    });
    const sink = new PostgresSink(client, { internalSchema: fixture.schema, partitionsOf: onePartition });
    const table = { schema: fixture.schema, table: "mine" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    // Who has applied a batch knows the partition, and needs only one round trip.
    const first = trips === "in one round trip" ? sink : fixture.sink;
    await first.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    return {
      ...fixture,
      sink,
      table,
      arm: () => {
        armed = true;
      },
    };
  }

  const WAYS = Object.keys(TRIPS) as (keyof typeof TRIPS)[];

  test.each(WAYS)("%s, before it arrived: the same batch is applied by the retry", async (trips) => {
    const { pool, sink, table, arm } = await cuttable("before the commit", trips);
    const batch = batchAt(1, table, [upsert("a", 2, "2")]);
    arm();
    await expect(sink.apply(batch)).rejects.toMatchObject({ kind: "retryable", code: "POSTGRES_UNAVAILABLE" });
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "1" }]);
    expect(await sink.apply(batch)).toBe("applied");
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });

  test.each(WAYS)(
    "%s, after it: the same batch is fenced, and the progress shows that it was applied",
    async (trips) => {
      const { pool, sink, table, arm } = await cuttable("before its answer", trips);
      const batch = batchAt(1, table, [upsert("a", 2, "2")]);
      arm();
      await expect(sink.apply(batch)).rejects.toMatchObject({ kind: "retryable", code: "POSTGRES_UNAVAILABLE" });
      expect(await sink.apply(batch)).toBe("fenced");
      const home = { topic: "t", partition: 0 };
      expect((await sink.readProgress([home])).get(partitionKey(home))).toBe(2n);
      expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
    },
  );

  test("after the COMMIT of a replay: the retry is superseded, and the dead letter stays replayed", async () => {
    const { pool, sink, table, arm } = await cuttable("before its answer", "with BEGIN and COMMIT");
    const origin = { topic: "t", partition: 0, offset: 0n };
    const replay = () => sink.replay(origin, 1, table, upsert("a", 2, "2"));
    arm();
    await expect(replay()).rejects.toMatchObject({ kind: "retryable" });
    expect(await replay()).toBe("superseded");
    expect([...(await sink.outcomesOf([origin])).values()]).toEqual(["replayed"]);
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });

  test("a session that an administrator ends while it waits for the lock writes nothing", async () => {
    const { schema, pool, openSink } = await freshSink();
    const name = uniqueName("waiting");
    const sink = openSink({
      url: urlWith((url) => {
        url.searchParams.set("application_name", name);
      }),
    });
    const table = { schema, table: "mine" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const holder = await pool.connect();
    await holder.query("BEGIN; SELECT FROM progress FOR UPDATE");
    const batch = batchAt(1, table, [upsert("a", 2, "2")]);
    const refused = expect(sink.apply(batch)).rejects.toMatchObject({
      kind: "retryable",
      details: { sqlstate: "57P01" },
    });
    await vi.waitFor(
      async () => {
        const { rows } = await pool.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
          [name],
        );
        expect(rows.length).toBe(1);
      },
      { timeout: 30_000, interval: 10 },
    );
    await refused;
    await holder.query("COMMIT");
    holder.release();
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "1" }]);
    expect(await sink.apply(batch)).toBe("applied");
  });
});
