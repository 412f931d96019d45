import { beforeEach, describe, expect, test } from "vitest";
import { originKey } from "../../src/consumers/ports.ts";
import type { ApplyOutcome, DeadLetterOutcomes, Sink } from "../../src/consumers/ports.ts";
import { partitionKey } from "../../src/schemas/partitions.ts";
import type { Change } from "../../src/schemas/row-schema.ts";
import { deletion, home, upsert } from "./sink-harness.ts";
import type { SinkHarness } from "./sink-harness.ts";
import { describeTruncates } from "./sink-truncates.ts";

/** What every Sink promises. */
export function describeSink(name: string, makeHarness: () => Promise<SinkHarness>): void {
  describe(name, () => {
    let harness: SinkHarness;
    let sink: Sink & DeadLetterOutcomes;

    beforeEach(async () => {
      harness = await makeHarness();
      sink = harness.open();
      await sink.readProgress([home]);
    });

    const apply = (
      expectedOffset: bigint,
      nextOffset: bigint,
      changes: Change[],
      by: Sink = sink,
    ): Promise<ApplyOutcome> => by.apply({ ...home, table: harness.table, expectedOffset, nextOffset, changes });
    const progress = async (): Promise<bigint | undefined> => (await sink.readProgress([home])).get(partitionKey(home));
    const replay = (offset: bigint, change: Change, attempts = 1) =>
      sink.replay({ ...home, offset }, attempts, harness.table, change);
    const outcome = async (offset: bigint) =>
      (await sink.outcomesOf([{ ...home, offset }])).get(originKey({ ...home, offset }));

    describe("progress", () => {
      test("is 0 for a partition without progress", async () => {
        const other = { topic: "shop.products", partition: 4 };
        const found = await sink.readProgress([home, other]);
        expect(found).toEqual(
          new Map([
            [partitionKey(home), 0n],
            [partitionKey(other), 0n],
          ]),
        );
      });

      test("moves with each applied batch, and other sinks read the same", async () => {
        expect(await apply(0n, 7n, [upsert("a", 1n, "1")])).toBe("applied");
        expect(await harness.open().readProgress([home])).toEqual(new Map([[partitionKey(home), 7n]]));
      });

      test("moves past offsets without changes", async () => {
        expect(await apply(0n, 5n, [])).toBe("applied");
        expect(await progress()).toBe(5n);
      });

      test("of one partition does not change the others", async () => {
        const other = { topic: "shop.carts", partition: 3 };
        await apply(0n, 7n, []);
        expect((await sink.readProgress([other])).get(partitionKey(other))).toBe(0n);
      });

      test("fences a batch that expects another offset, and nothing is written", async () => {
        await apply(0n, 7n, [upsert("a", 1n, "1")]);
        expect(await apply(0n, 9n, [upsert("a", 2n, "2")])).toBe("fenced");
        expect(await apply(8n, 9n, [upsert("a", 2n, "2")])).toBe("fenced");
        expect(await progress()).toBe(7n);
        expect(await harness.rows()).toEqual([{ key: "a", version: 1n, n: "1" }]);
      });

      test("fences one of two sinks that apply the same batch at once", async () => {
        const sinks = [sink, harness.open()];
        const outcomes = await Promise.all(
          sinks.map((each, index) => apply(0n, 1n, [upsert("a", 1n, String(index))], each)),
        );
        expect(outcomes.toSorted()).toEqual(["applied", "fenced"]);
        const winner = outcomes.indexOf("applied");
        expect(await harness.rows()).toEqual([{ key: "a", version: 1n, n: String(winner) }]);
      });

      test("fences a batch of a partition whose progress was never read", async () => {
        const batch = { topic: "shop.unread", partition: 0, table: harness.table, expectedOffset: 0n, nextOffset: 1n };
        expect(await sink.apply({ ...batch, changes: [upsert("a", 1n, "1")] })).toBe("fenced");
      });
    });

    describe("apply", () => {
      test("inserts, updates and deletes", async () => {
        await apply(0n, 3n, [upsert("a", 1n, "1"), upsert("b", 2n, "2"), upsert("c", 3n, null)]);
        await apply(3n, 5n, [upsert("a", 4n, "10"), deletion("b", 5n)]);
        expect(await harness.rows()).toEqual([
          { key: "a", version: 4n, n: "10" },
          { key: "c", version: 3n, n: null },
        ]);
      });

      test("applies the last of several changes of one key in one batch", async () => {
        await apply(0n, 5n, [
          upsert("a", 1n, "1"),
          upsert("a", 2n, "2"),
          upsert("b", 3n, "3"),
          deletion("b", 4n),
          upsert("b", 4n, "4"),
        ]);
        expect(await harness.rows()).toEqual([
          { key: "a", version: 2n, n: "2" },
          { key: "b", version: 4n, n: "4" },
        ]);
      });

      test("ignores an older change, also of a deleted row", async () => {
        await apply(0n, 3n, [upsert("a", 10n, "10"), deletion("b", 10n), upsert("c", 10n, "10")]);
        await apply(3n, 6n, [upsert("a", 9n, "9"), upsert("b", 9n, "9"), deletion("c", 9n)]);
        expect(await harness.rows()).toEqual([
          { key: "a", version: 10n, n: "10" },
          { key: "c", version: 10n, n: "10" },
        ]);
      });

      test("applies a change of the same version again", async () => {
        await apply(0n, 1n, [upsert("a", 5n, "5")]);
        expect(await apply(1n, 2n, [upsert("a", 5n, "5")])).toBe("applied");
        expect(await harness.rows()).toEqual([{ key: "a", version: 5n, n: "5" }]);
      });

      test("inserts a row again if it is newer than its delete", async () => {
        await apply(0n, 2n, [upsert("a", 1n, "1"), deletion("a", 2n)]);
        await apply(2n, 3n, [upsert("a", 3n, "3")]);
        expect(await harness.rows()).toEqual([{ key: "a", version: 3n, n: "3" }]);
      });

      test("remembers the newest delete of a key, not the last applied one", async () => {
        await apply(0n, 1n, [deletion("a", 10n)]);
        await apply(1n, 2n, [deletion("a", 5n)]);
        await apply(2n, 3n, [upsert("a", 7n, "7")]);
        expect(await harness.rows()).toEqual([]);
      });

      test("keeps versions beyond 2^53 apart", async () => {
        const version = (1_800_000_000n << 32n) | 1n;
        await apply(0n, 1n, [upsert("a", version + 1n, "2")]);
        await apply(1n, 2n, [upsert("a", version, "1")]);
        expect(await harness.rows()).toEqual([{ key: "a", version: version + 1n, n: "2" }]);
      });

      test("throws poison for a record that PostgreSQL refuses, and writes nothing of the batch", async () => {
        const batch = apply(0n, 2n, [upsert("a", 1n, "1"), upsert("b", 2n, "99999999999")]);
        await expect(batch).rejects.toMatchObject({ name: "HeadraceError", kind: "poison" });
        expect(await progress()).toBe(0n);
        expect(await harness.rows()).toEqual([]);
        expect(await apply(0n, 1n, [upsert("a", 1n, "1")])).toBe("applied");
      });

      test("applies partitions in parallel", async () => {
        const partitions = Array.from({ length: 12 }, (_, partition) => ({ topic: "shop.products", partition }));
        await sink.readProgress(partitions);
        const outcomes = await Promise.all(
          partitions.map((partition) =>
            sink.apply({
              ...partition,
              table: harness.table,
              expectedOffset: 0n,
              nextOffset: 1n,
              changes: [upsert(`k${partition.partition}`, 1n, String(partition.partition))],
            }),
          ),
        );
        expect(new Set(outcomes)).toEqual(new Set(["applied"]));
        expect((await harness.rows()).length).toBe(12);
      });
    });

    describe("skip", () => {
      const skip = (expectedOffset: bigint, nextOffset: bigint, change: Change | null): Promise<ApplyOutcome> =>
        sink.skip({ ...home, table: harness.table, expectedOffset, nextOffset }, change);

      test.each([
        ["can be decoded", upsert("a", 2n, "2")],
        ["is a delete", deletion("a", 2n)],
        ["cannot be decoded", null],
      ])("moves the progress past a record that %s, and does not change rows", async (_, change) => {
        await apply(0n, 1n, [upsert("a", 1n, "1")]);
        expect(await skip(1n, 2n, change)).toBe("applied");
        expect(await progress()).toBe(2n);
        expect(await harness.rows()).toEqual([{ key: "a", version: 1n, n: "1" }]);
      });

      test("fences a record that expects another offset", async () => {
        expect(await skip(5n, 6n, null)).toBe("fenced");
        expect(await progress()).toBe(0n);
      });
    });

    describe("replay", () => {
      test("applies a change that is newer than the row, and does not move the progress", async () => {
        await apply(0n, 5n, [upsert("a", 1n, "1")]);
        expect(await replay(3n, upsert("a", 2n, "2"))).toBe("replayed");
        expect(await harness.rows()).toEqual([{ key: "a", version: 2n, n: "2" }]);
        expect(await progress()).toBe(5n);
        expect(await outcome(3n)).toBe("replayed");
      });

      test("applies a change of an unknown key, also as the first action of a sink", async () => {
        const first = harness.open();
        const origin = { topic: "shop.unread", partition: 9, offset: 3n };
        expect(await first.replay(origin, 1, harness.table, upsert("a", 2n, "2"))).toBe("replayed");
        expect(await harness.rows()).toEqual([{ key: "a", version: 2n, n: "2" }]);
      });

      test.each([
        ["a newer row", upsert("a", 10n, "10"), upsert("a", 9n, "9")],
        ["a row of the same version", upsert("a", 10n, "10"), upsert("a", 10n, "9")],
        ["a newer delete", deletion("a", 10n), upsert("a", 9n, "9")],
        ["a delete of the same version", deletion("a", 10n), upsert("a", 10n, "9")],
        ["a newer row, of a delete", upsert("a", 10n, "10"), deletion("a", 9n)],
        ["a row of the same version, of a delete", upsert("a", 10n, "10"), deletion("a", 10n)],
      ])("is superseded by %s", async (_, known, old) => {
        await apply(0n, 1n, [known]);
        const before = await harness.rows();
        expect(await replay(0n, old)).toBe("superseded");
        expect(await harness.rows()).toEqual(before);
        expect(await outcome(0n)).toBe("superseded");
      });

      test("deletes the row and remembers the delete", async () => {
        await apply(0n, 1n, [upsert("a", 1n, "1")]);
        expect(await replay(0n, deletion("a", 5n))).toBe("replayed");
        await apply(1n, 2n, [upsert("a", 4n, "4")]);
        expect(await harness.rows()).toEqual([]);
      });

      test("stays replayed if it is replayed again", async () => {
        expect(await replay(0n, upsert("a", 1n, "1"))).toBe("replayed");
        expect(await replay(0n, upsert("a", 1n, "1"))).toBe("superseded");
        expect(await outcome(0n)).toBe("replayed");
      });

      test("stays open if the replay fails", async () => {
        await expect(replay(0n, upsert("a", 1n, "99999999999"), 2)).rejects.toMatchObject({ kind: "poison" });
        expect(await outcome(0n)).toBeUndefined();
        expect(await harness.rows()).toEqual([]);
      });
    });

    describeTruncates(makeHarness);

    describe("outcomes of dead letters", () => {
      test("are given for the closed dead letters only", async () => {
        await replay(1n, upsert("a", 1n, "1"));
        await sink.close({ ...home, offset: 2n }, 1, "discarded", harness.table);
        await sink.close({ ...home, offset: 3n }, 4, "replayed", null);
        const origins = [0n, 1n, 2n, 3n].map((offset) => ({ ...home, offset }));
        const elsewhere = { topic: "shop.carts", partition: 3, offset: 1n };
        expect(await harness.open().outcomesOf([...origins, elsewhere])).toEqual(
          new Map([
            [originKey({ ...home, offset: 1n }), "replayed"],
            [originKey({ ...home, offset: 2n }), "discarded"],
            [originKey({ ...home, offset: 3n }), "replayed"],
          ]),
        );
      });

      test("are empty for no dead letters", async () => {
        expect(await sink.outcomesOf([])).toEqual(new Map());
      });

      test("change from discarded to replayed, but not back", async () => {
        const origin = { ...home, offset: 1n };
        await sink.close(origin, 1, "discarded", harness.table);
        await replay(1n, upsert("a", 1n, "1"));
        expect(await outcome(1n)).toBe("replayed");
        await sink.close(origin, 1, "discarded", harness.table);
        expect(await outcome(1n)).toBe("replayed");
      });
    });
  });
}
