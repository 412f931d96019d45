import { expect, test } from "vitest";
import { meaningOf } from "../../../src/producers/mongodb/event-meaning.ts";
import type { StreamEvent } from "../../../src/producers/order/plan-images.ts";
import { splitTruncates } from "../../../src/producers/order/truncates.ts";
import { WHOLE_DATABASE } from "../../../src/schemas/collection-selection.ts";

function event(
  operationType: string,
  collection: string,
  version: bigint,
  renamedTo: string | null = null,
): StreamEvent {
  const documentKey = Buffer.of(1);
  return { operationType, collection, renamedTo, version, documentKey, document: null, inTransaction: false };
}

function split(collections: readonly string[] | null, events: readonly StreamEvent[]) {
  const { truncates, events: documents } = splitTruncates(events, (one) =>
    meaningOf(one, {
      collections: collections === null ? WHOLE_DATABASE : { named: collections, others: null },
      onDrop: "apply",
    }),
  );
  return {
    truncates: truncates.map(({ collection, version }) => [collection, version]),
    documents: documents.map(({ collection, version }) => [collection, version]),
  };
}

test("only events after the last drop of a collection remain", () => {
  const events = [
    event("insert", "a", 1n),
    event("insert", "b", 2n),
    event("drop", "a", 3n),
    event("insert", "a", 4n),
    event("drop", "a", 5n),
    event("insert", "a", 6n),
  ];
  expect(split(null, events)).toEqual({
    truncates: [["a", 5n]],
    documents: [
      ["b", 2n],
      ["a", 6n],
    ],
  });
});

test("a rename truncates the old and the new name, if they are replicated", () => {
  const events = [event("rename", "a", 1n, "b")];
  expect(split(null, events).truncates).toEqual([
    ["a", 1n],
    ["b", 1n],
  ]);
  expect(split(["b"], events).truncates).toEqual([["b", 1n]]);
  expect(split(null, [event("rename", "tmp.agg_out.1", 1n, "b")]).truncates).toEqual([["b", 1n]]);
});

test("the event of a dropped database adds nothing to the drops of its collections", () => {
  const events = [event("drop", "a", 1n), event("dropDatabase", "", 2n), event("invalidate", "", 2n)];
  expect(split(null, events)).toEqual({ truncates: [["a", 1n]], documents: [] });
});
