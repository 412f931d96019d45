import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bisect } from "../../../src/consumers/batches/bisect.ts";
import type {
  ApplyOutcome,
  DecodedRecord,
  FailedRecord,
  LogRecord,
  UndecodableRecord,
} from "../../../src/consumers/ports.ts";
import { HeadraceError } from "../../../src/errors/error.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";

type Fate = "good" | "poison" | "undecodable";

const poison = new HeadraceError("VALUE_REFUSED", { message: "refused" });
const undecodable = new HeadraceError("RECORD_UNDECODABLE", { message: "undecodable" });

/** Each record's offset with what becomes of it; offsets have gaps, as in a log with control records. */
const records = fc
  .array(fc.tuple(fc.constantFrom<Fate>("good", "poison", "undecodable"), fc.integer({ min: 1, max: 3 })), {
    maxLength: 40,
  })
  .map((steps) => {
    let offset = 0n;
    return steps.map(([fate, gap]) => ({ fate, offset: (offset += BigInt(gap)) }));
  });

test("applies good records once and in order, makes the bad ones dead letters in order, and ends after the batch", async () => {
  await fc.assert(
    fc.asyncProperty(records, async (given) => {
      const nextOffset = (given.at(-1)?.offset ?? 0n) + 3n;
      const world = fakeWorld(given.filter(({ fate }) => fate === "poison").map((record) => record.offset));

      expect(await bisect(given.map(toRecord), nextOffset, world.steps)).toBe("applied");

      expect(world.applied).toEqual(offsets(given, "good"));
      expect(world.letters).toEqual(offsets(given, "poison", "undecodable"));
      expect(world.skipped).toEqual(offsets(given, "poison"));
      expect(world.progress()).toBe(nextOffset);
      for (const { fate, offset } of given) {
        if (fate !== "good") expect(world.progressAtWrite.get(offset)).toBeLessThanOrEqual(offset);
      }
    }),
  );
});

test("finds one bad record with a number of tries that grows with the logarithm of the batch", async () => {
  const given = Array.from({ length: 1024 }, (_, index) => ({ fate: "good" as Fate, offset: BigInt(index) }));
  given[700] = { fate: "poison", offset: 700n };
  const world = fakeWorld([700n]);
  await bisect(given.map(toRecord), 1024n, world.steps);
  expect(world.letters).toEqual([700n]);
  expect(world.calls()).toBeLessThanOrEqual(2 * 10 + 2);
});

describe("it stops", () => {
  const given = [0n, 1n, 2n, 3n].map((offset) => ({ fate: (offset === 0n ? "poison" : "good") as Fate, offset }));

  test("at the first fenced step", async () => {
    const world = fakeWorld([0n], { fencedFrom: 1n });
    expect(await bisect(given.map(toRecord), 4n, world.steps)).toBe("fenced");
    expect(world.applied).toEqual([]);
  });

  test("at an error that no record causes", async () => {
    const lost = new HeadraceError("POSTGRES_UNAVAILABLE", { message: "lost" });
    const world = fakeWorld([]);
    const steps = { ...world.steps, apply: () => Promise.reject(lost) };
    await expect(bisect(given.map(toRecord), 4n, steps)).rejects.toBe(lost);
    expect(world.letters).toEqual([]);
  });

  test("when a dead letter cannot be written; the progress stays before its record", async () => {
    const refused = new HeadraceError("KAFKA_FORBIDDEN", { message: "no" });
    const world = fakeWorld([0n]);
    const steps = { ...world.steps, deadLetter: () => Promise.reject(refused) };
    await expect(bisect(given.map(toRecord), 4n, steps)).rejects.toBe(refused);
    expect(world.progress()).toBe(0n);
  });

  test("when the sink throws poison for a batch without changes", async () => {
    const world = fakeWorld([]);
    const steps = { ...world.steps, apply: () => Promise.reject(poison) };
    await expect(bisect([], 4n, steps)).rejects.toBe(poison);
  });
});

function offsets(given: readonly { fate: Fate; offset: bigint }[], ...fates: Fate[]): bigint[] {
  return given.filter(({ fate }) => fates.includes(fate)).map(({ offset }) => offset);
}

/** A sink that refuses the given offsets, and dead letters. A change carries its record's offset as its version. */
function fakeWorld(poisonous: readonly bigint[], { fencedFrom }: { fencedFrom?: bigint } = {}) {
  const applied: bigint[] = [];
  const letters: bigint[] = [];
  const skipped: bigint[] = [];
  const progressAtWrite = new Map<bigint, bigint>();
  let progress = 0n;
  let calls = 0;
  const moveTo = (nextOffset: bigint): ApplyOutcome => {
    if (fencedFrom !== undefined && nextOffset >= fencedFrom) return "fenced";
    progress = nextOffset;
    return "applied";
  };
  const apply = (changes: readonly Change[], nextOffset: bigint): Promise<ApplyOutcome> => {
    calls += 1;
    if (changes.some(({ version }) => poisonous.includes(version))) return Promise.reject(poison);
    const outcome = moveTo(nextOffset);
    if (outcome === "applied") applied.push(...changes.map(({ version }) => version));
    return Promise.resolve(outcome);
  };
  const deadLetter = ({ record: { offset }, change }: FailedRecord, nextOffset: bigint): Promise<ApplyOutcome> => {
    letters.push(offset);
    if (change !== null) skipped.push(change.version);
    progressAtWrite.set(offset, progress);
    return Promise.resolve(moveTo(nextOffset));
  };
  return {
    steps: { apply, deadLetter },
    applied,
    letters,
    skipped,
    progressAtWrite,
    progress: () => progress,
    calls: () => calls,
  };
}

function toRecord({ fate, offset }: { fate: Fate; offset: bigint }): DecodedRecord | UndecodableRecord {
  const record: LogRecord = {
    topic: "shop.shop.products",
    partition: 0,
    offset,
    key: null,
    value: null,
    headers: {},
    timestampMs: 0,
  };
  if (fate === "undecodable")
    return { record, change: null, failure: { error: undecodable, stage: "VALUE_CONVERTER" } };
  const change: Change = {
    op: "d",
    rowSchema: { idType: "integer", children: [], columns: [] },
    key: String(offset),
    version: offset,
    children: [],
    cells: null,
  };
  return { record, change };
}
