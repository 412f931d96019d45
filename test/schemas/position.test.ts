import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Position, SnapshotState } from "../../src/schemas/change-event.ts";
import { decodePosition, encodePosition } from "../../src/schemas/position.ts";

const version = fc.bigInt(0n, 2n ** 63n - 1n);

const snapshot: fc.Arbitrary<SnapshotState> = fc.oneof(
  fc.record({ state: fc.constant("running" as const), after: fc.option(fc.json()), sweepBelow: fc.option(version) }),
  fc.record({ state: fc.constant("done" as const), at: version }),
);

const position: fc.Arbitrary<Position> = fc.record({
  resumeToken: fc.option(fc.string()),
  clusterTime: version,
  cluster: fc.string(),
  horizon: version,
  snapshots: fc.dictionary(fc.string({ unit: "grapheme" }), snapshot, { noNullPrototype: true }),
  signals: fc.record({ offset: version, after: fc.option(fc.json()) }),
});

const START: Position = {
  resumeToken: null,
  clusterTime: 7n,
  cluster: "c",
  horizon: 0n,
  snapshots: {},
  signals: { offset: 0n, after: null },
};

describe("a stored position", () => {
  it("is read unchanged", () => {
    fc.assert(
      fc.property(position, (value) => {
        expect(decodePosition(encodePosition(value))).toEqual(value);
      }),
    );
  });

  it("keeps the snapshot of a collection of any name", () => {
    const snapshots = JSON.parse(
      '{"__proto__":{"state":"running","after":null,"sweepBelow":null}}',
    ) as Position["snapshots"];
    const read = decodePosition(encodePosition({ ...START, snapshots }));
    expect(Object.keys(read.snapshots)).toEqual(["__proto__"]);
  });

  it("contains versions as text, exact beyond 2^53", () => {
    expect(JSON.parse(encodePosition({ ...START, clusterTime: 2n ** 62n + 1n }))).toMatchObject({
      clusterTime: "4611686018427387905",
    });
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", ""],
    ["null", "null"],
    ["an empty object", "{}"],
    ["of a later format", encodePosition(START).replace('"format":1', '"format":2')],
    ["without its cluster", encodePosition(START).replace('"cluster"', '"klaster"')],
    ["with a version that is none", encodePosition(START).replace('"7"', '"-7"')],
    ["with a version that is a number", encodePosition(START).replace('"7"', "7")],
    ["with a snapshot in an unknown state", encodePosition(START).replace("{}", '{"a":{"state":"paused"}}')],
  ])("is a fatal error if it is %s", (_what, text) => {
    expect(() => decodePosition(text)).toThrow(expect.objectContaining({ code: "POSITION_INVALID", kind: "fatal" }));
  });
});
