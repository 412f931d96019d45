import { beforeEach, describe, expect, test } from "vitest";
import { originKey } from "../../src/consumers/ports.ts";
import type { ApplyOutcome, DeadLetterOutcomes, Sink } from "../../src/consumers/ports.ts";
import { partitionKey } from "../../src/schemas/partitions.ts";
import type { TopicPartition } from "../../src/schemas/partitions.ts";
import type { Change } from "../../src/schemas/row-schema.ts";
import { deletion, home, truncate, upsert } from "./sink-harness.ts";
import type { SinkHarness } from "./sink-harness.ts";

/** What every Sink promises of truncates. */
export function describeTruncates(makeHarness: () => Promise<SinkHarness>): void {
  describe("truncates", () => {
    let harness: SinkHarness;
    let sink: Sink & DeadLetterOutcomes;
    const others = [0, 1, 2].map((partition) => ({ topic: home.topic, partition }));
    const apply = (
      expectedOffset: bigint,
      nextOffset: bigint,
      changes: Change[],
      by: Sink = sink,
    ): Promise<ApplyOutcome> => by.apply({ ...home, table: harness.table, expectedOffset, nextOffset, changes });
    const replay = (offset: bigint, change: Change) => sink.replay({ ...home, offset }, 1, harness.table, change);
    const applyIn = (partition: TopicPartition, expectedOffset: bigint, changes: Change[]) =>
      sink.apply({
        ...partition,
        table: harness.table,
        expectedOffset,
        nextOffset: expectedOffset + BigInt(changes.length),
        changes,
      });
    const truncateOthers = async (version: bigint): Promise<void> => {
      for (const partition of others) expect(await applyIn(partition, 0n, [truncate(version)])).toBe("applied");
    };

    beforeEach(async () => {
      harness = await makeHarness();
      sink = harness.open();
      await sink.readProgress([home, ...others]);
    });

    test("delete the older rows once they are applied in every partition, and not before", async () => {
      await apply(0n, 3n, [upsert("a", 1n, "1"), upsert("b", 10n, "10"), upsert("c", 9n, "9")]);
      await truncateOthers(10n);
      expect((await harness.rows()).map(({ key }) => key)).toEqual(["a", "b", "c"]);
      expect(await apply(3n, 4n, [truncate(10n)])).toBe("applied");
      expect(await harness.rows()).toEqual([{ key: "b", version: 10n, n: "10" }]);
      expect((await sink.readProgress([home])).get(partitionKey(home))).toBe(4n);
    });

    test("delete rows from before them in the same batch, and keep those from after them", async () => {
      await truncateOthers(10n);
      const changes = [upsert("a", 1n, "1"), upsert("b", 2n, "2"), truncate(10n), upsert("b", 11n, "11")];
      await apply(0n, 4n, changes);
      expect(await harness.rows()).toEqual([{ key: "b", version: 11n, n: "11" }]);
    });

    test("keep out older changes that come later, in their own partition at once", async () => {
      await apply(0n, 2n, [upsert("a", 1n, "1"), truncate(10n)]);
      await apply(2n, 5n, [upsert("b", 9n, "9"), upsert("c", 10n, "10"), deletion("d", 9n)]);
      expect(await harness.rows()).toEqual([{ key: "c", version: 10n, n: "10" }]);
    });

    test("count up to the oldest of the partitions' last truncates", async () => {
      await applyIn(others[0]!, 0n, [upsert("a", 5n, "5"), upsert("b", 15n, "15")]);
      await applyIn(others[0]!, 2n, [truncate(10n), truncate(20n)]);
      await applyIn(others[1]!, 0n, [truncate(20n)]);
      await applyIn(others[2]!, 0n, [truncate(10n)]);
      await apply(0n, 1n, [truncate(20n)]);
      expect(await harness.rows()).toEqual([{ key: "b", version: 15n, n: "15" }]);
      await applyIn(others[2]!, 1n, [truncate(20n)]);
      expect(await harness.rows()).toEqual([]);
    });

    test("keep the row of a key whose skipped change is not older, unless it is a delete", async () => {
      const skipped = { a: upsert("a", 10n, "1"), b: upsert("b", 9n, "1"), c: deletion("c", 11n) };
      await apply(
        0n,
        4n,
        ["a", "b", "c", "d"].map((key) => upsert(key, 1n, "1")),
      );
      for (const [index, change] of Object.values(skipped).entries()) {
        const [expectedOffset, nextOffset] = [BigInt(4 + index), BigInt(5 + index)];
        await sink.skip({ ...home, table: harness.table, expectedOffset, nextOffset }, change);
      }
      await truncateOthers(10n);
      await apply(7n, 8n, [truncate(10n)]);
      expect(await harness.rows()).toEqual([{ key: "a", version: 1n, n: "1" }]);
    });

    test("change nothing when they are delivered again", async () => {
      await truncateOthers(10n);
      await apply(0n, 2n, [truncate(10n), upsert("a", 10n, "10")]);
      expect(await apply(0n, 2n, [truncate(10n)])).toBe("fenced");
      expect(await apply(2n, 3n, [truncate(10n)])).toBe("applied");
      expect(await apply(3n, 4n, [truncate(9n)])).toBe("applied");
      expect(await harness.rows()).toEqual([{ key: "a", version: 10n, n: "10" }]);
    });

    test("do not count if the consumer's offset is fenced", async () => {
      await truncateOthers(10n);
      await apply(0n, 2n, [upsert("a", 1n, "1")]);
      expect(await apply(0n, 2n, [truncate(10n)])).toBe("fenced");
      expect(await harness.rows()).toEqual([{ key: "a", version: 1n, n: "1" }]);
    });

    test("may be applied in all partitions at the same time", async () => {
      await apply(0n, 1n, [upsert("a", 1n, "1")]);
      await Promise.all([
        apply(1n, 2n, [truncate(10n)], harness.open()),
        ...others.map((partition) => applyIn(partition, 0n, [truncate(10n)])),
      ]);
      expect(await harness.rows()).toEqual([]);
    });

    test("keep the rows of other tables", async () => {
      const elsewhere = { ...harness.table, table: "others" };
      await sink.apply({ ...home, table: elsewhere, expectedOffset: 0n, nextOffset: 1n, changes: [truncate(10n)] });
      for (const partition of others) {
        const changes = [truncate(10n)];
        await sink.apply({ ...partition, table: elsewhere, expectedOffset: 0n, nextOffset: 1n, changes });
      }
      await apply(1n, 2n, [upsert("a", 9n, "9")]);
      expect(await harness.rows()).toEqual([{ key: "a", version: 9n, n: "9" }]);
    });

    test("supersede the replay of an older dead letter, but not of one with their own version", async () => {
      await truncateOthers(10n);
      await apply(0n, 1n, [truncate(10n)]);
      expect(await replay(0n, upsert("a", 9n, "9"))).toBe("superseded");
      expect(await replay(1n, deletion("b", 9n))).toBe("superseded");
      expect(await replay(2n, upsert("c", 10n, "10"))).toBe("replayed");
      expect(await harness.rows()).toEqual([{ key: "c", version: 10n, n: "10" }]);
    });

    test("can be replayed as dead letters", async () => {
      await apply(0n, 1n, [upsert("a", 1n, "1")]);
      await truncateOthers(10n);
      expect(await replay(1n, truncate(10n))).toBe("replayed");
      const origin = { ...home, offset: 1n };
      expect((await sink.outcomesOf([origin])).get(originKey(origin))).toBe("replayed");
      expect(await harness.rows()).toEqual([]);
      expect(await replay(2n, truncate(9n))).toBe("superseded");
    });

    test("may be the first change of a table", async () => {
      await truncateOthers(10n);
      expect(await apply(0n, 1n, [truncate(10n)])).toBe("applied");
      expect(await harness.rows()).toEqual([]);
    });
  });
}
