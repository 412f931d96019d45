import * as fc from "fast-check";
import { expect, test } from "vitest";
import { imageEvent, planImages } from "../../../src/producers/order/plan-images.ts";
import type { DocumentStreamEvent } from "../../../src/producers/order/plan-images.ts";
import type { ChangeEvent, Version } from "../../../src/schemas/change-event.ts";

type DocumentEvent = Exclude<ChangeEvent, { op: "t" }>;

const KEYS = ["a", "b", "c", "d"];
const keyOf = (documentKey: Uint8Array): string => Buffer.from(documentKey).toString();

/** The history of a collection: each key's states, oldest first; null if the document did not exist. */
type History = Map<string, { version: Version; document: Buffer | null }[]>;

interface Write {
  readonly key: string;
  readonly kind: "put" | "update" | "delete";
}

/** Some writes alone, some together in a transaction. */
const writesArbitrary = fc.array(
  fc.record({
    inTransaction: fc.boolean(),
    writes: fc.array(fc.record({ key: fc.constantFrom(...KEYS), kind: fc.constantFrom("put", "update", "delete") }), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
  { maxLength: 30 },
) satisfies fc.Arbitrary<{ inTransaction: boolean; writes: Write[] }[]>;

/** Does the writes as MongoDB would: returns the history and the events of the change stream. */
function replay(commits: readonly { inTransaction: boolean; writes: readonly Write[] }[]) {
  const history: History = new Map(KEYS.map((key) => [key, []]));
  const events: DocumentStreamEvent[] = [];
  let version = 0n;
  let count = 0;
  for (const { inTransaction, writes } of commits) {
    if (inTransaction) version++;
    for (const { key, kind } of writes) {
      const states = history.get(key) ?? [];
      const exists = (states.at(-1)?.document ?? null) !== null;
      if (kind !== "put" && !exists) continue;
      if (!inTransaction) version++;
      const document = kind === "delete" ? null : Buffer.from(`${key}${count++}`);
      states.push({ version, document });
      const operationType = kind !== "put" ? kind : exists ? "replace" : "insert";
      events.push({
        operationType,
        collection: "things",
        renamedTo: null,
        version,
        documentKey: Buffer.from(key),
        document: operationType === "update" ? null : document,
        inTransaction,
      });
    }
  }
  return { history, events, end: version };
}

function documentAt(history: History, key: string, version: Version): Buffer | null {
  return (history.get(key) ?? []).findLast((state) => state.version <= version)?.document ?? null;
}

const unfiltered = (): boolean => false;

test("each published version is the document at that version if it matches, and no key is left out", () => {
  fc.assert(
    fc.property(writesArbitrary, fc.nat(20), fc.nat(5), fc.boolean(), (commits, readUpTo, later, isFiltered) => {
      const { history, events, end } = replay(commits);
      const at = end + BigInt(later);
      const matchAt = (key: string, version: Version): Buffer | null => {
        const document = documentAt(history, key, version);
        return isFiltered && document !== null && Number(document.toString().slice(1)) % 2 === 1 ? null : document;
      };
      const plan = planImages(events, keyOf, BigInt(readUpTo), () => isFiltered);
      const images = plan.reads.map((read) => imageEvent(read, matchAt(read.key, at), at));
      const published = [...plan.events, ...images] as DocumentEvent[];
      const versions = new Map<string, Version>();
      for (const { op, documentKey, document, version } of published) {
        const key = keyOf(documentKey);
        expect(document?.toString() ?? null).toBe(matchAt(key, version)?.toString() ?? null);
        expect(op === "d").toBe(document === null);
        expect(version).toBeGreaterThanOrEqual(versions.get(key) ?? 0n);
        versions.set(key, version);
      }
      for (const { documentKey } of events) {
        const key = keyOf(documentKey);
        const lastWrite = history.get(key)?.at(-1)?.version ?? 0n;
        expect(versions.get(key)).toBeGreaterThanOrEqual(lastWrite);
      }
    }),
    { numRuns: 500 },
  );
});

test("a key is read once, however many of its events need it", () => {
  fc.assert(
    fc.property(writesArbitrary, (commits) => {
      const { events } = replay(commits);
      const { reads } = planImages(events, keyOf, 0n, unfiltered);
      expect(new Set(reads.map(({ key }) => key)).size).toBe(reads.length);
    }),
  );
});

test("keys that may be published already up to a version are published at a later one", () => {
  fc.assert(
    fc.property(writesArbitrary, fc.nat(40), (commits, readUpTo) => {
      const { events } = replay(commits);
      for (const event of planImages(events, keyOf, BigInt(readUpTo), unfiltered).events) {
        expect(event.version).toBeGreaterThan(BigInt(readUpTo));
      }
    }),
  );
});

test("equal keys of different collections are different keys", () => {
  const event = (collection: string, operationType: "insert" | "update"): DocumentStreamEvent => ({
    operationType,
    collection,
    renamedTo: null,
    version: 1n,
    documentKey: Buffer.from("a"),
    document: operationType === "insert" ? Buffer.from("a") : null,
    inTransaction: false,
  });
  const plan = planImages([event("x", "insert"), event("y", "update")], keyOf, 0n, unfiltered);
  expect(plan.events).toMatchObject([{ collection: "x", op: "c" }]);
  expect(plan.reads).toMatchObject([{ collection: "y", op: "u" }]);
});

test("a document that was inserted and changed in one batch is an insert", () => {
  const { events } = replay([
    { inTransaction: false, writes: [{ key: "a", kind: "put" }] },
    { inTransaction: false, writes: [{ key: "a", kind: "update" }] },
  ]);
  expect(planImages(events, keyOf, 0n, unfiltered).reads).toMatchObject([{ op: "c" }]);
});
