import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Position, SnapshotState } from "../../src/schemas/change-event.ts";
import { decodeMarker, decodePosition, encodePosition } from "../../src/schemas/position.ts";

const version = fc.bigInt(0n, 2n ** 63n - 1n);

/** Names of collections, those of Object's properties among them. */
const NAME = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(...Object.getOwnPropertyNames(Object.prototype)),
);

const snapshot: fc.Arbitrary<SnapshotState> = fc.oneof(
  fc.record({ state: fc.constant("running" as const), after: fc.option(fc.json()), sweepBelow: fc.option(version) }),
  fc.record({ state: fc.constant("done" as const), at: version }),
);

const position: fc.Arbitrary<Position> = fc.record({
  resumeToken: fc.option(fc.string()),
  clusterTime: version,
  cluster: fc.string(),
  horizon: version,
  snapshots: fc.array(fc.tuple(NAME, snapshot)).map((entries) => new Map(entries)),
  signals: fc.record({ offset: version, after: fc.option(fc.json()) }),
  leftOut: fc.array(fc.tuple(NAME, fc.string())).map((entries) => new Map(entries)),
});

const START: Position = {
  resumeToken: null,
  clusterTime: 7n,
  cluster: "c",
  horizon: 0n,
  snapshots: new Map(),
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

  it("is read as version 0.1.0 wrote it", () => {
    const text =
      '{"format":1,"resumeToken":null,"clusterTime":"7","cluster":"c","horizon":"0","snapshots":{"items":{"state":"done","at":"5"},' +
      '"__proto__":{"state":"running","after":null,"sweepBelow":"3"}},"signals":{"offset":"0","after":null}}';
    const snapshots = new Map<string, SnapshotState>([
      ["items", { state: "done", at: 5n }],
      ["__proto__", { state: "running", after: null, sweepBelow: 3n }],
    ]);
    expect(decodePosition(text)).toEqual({ ...START, snapshots });
    expect(JSON.parse(encodePosition({ ...START, snapshots }))).toEqual(JSON.parse(text));
  });

  it("gives a collection called __proto__ a snapshot where version 0.1.0 wrote no state", () => {
    const text = encodePosition(START).replace('"snapshots":{}', '"snapshots":{"__proto__":{}}');
    expect(decodePosition(text)).toEqual(START);
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

it("a marker tells which process has written it; what another program has written tells nothing", () => {
  const instance = { id: "a", startedAtMs: 5 };
  expect(decodeMarker(JSON.stringify(instance))).toEqual([instance]);
  for (const text of ["", "marker", "null", "[]", '{"id":1}']) expect(decodeMarker(text)).toEqual([]);
});
