import { Binary, BSONSymbol, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID } from "mongodb";
import { describe, expect, test } from "vitest";
import { findTable } from "../../../src/operations/propose/find-columns.ts";
import { summaryOf } from "./summary-of.ts";

/** The type of the column `field`, or why it has none. */
function typeFor(values: readonly unknown[]): string {
  const { columns, children, notes } = findTable(summaryOf(values.map((field) => ({ field }))), { arrays: "children" });
  if (children.length > 0) return "child";
  return columns.find(({ path }) => path.join(".") === "field")?.type ?? notes.join();
}

describe("the proposed type holds all values seen", () => {
  test.for([
    ["text", ["a", new ObjectId()]],
    ["text", ["a", new UUID()]],
    ["bigint", [new Int32(1), Long.fromString("9007199254740993")]],
    ["double precision", [new Int32(1), new Double(2.5)]],
    ["numeric", [Long.fromString("9007199254740993"), new Double(2.5)]],
    ["numeric", [new Double(2.5), Decimal128.fromString("1.10")]],
    ["boolean", [true, false]],
    ["timestamptz", [new Date()]],
    ["uuid", [new UUID()]],
    ["bytea", [new Binary(Buffer.from("x"))]],
    ["jsonb", [new Binary(Buffer.alloc(16), Binary.SUBTYPE_UUID_OLD)]],
    ["jsonb", [new Timestamp({ t: 1, i: 1 })]],
    ["jsonb", [new BSONSymbol("a")]],
    ["jsonb", ["a", new Int32(1)]],
    ["jsonb", [true, new Date()]],
    ["jsonb", [{}]],
  ] as const)("%s: %j", ([type, values]) => {
    expect(typeFor(values)).toBe(type);
    expect(typeFor([null, ...values])).toBe(type);
  });
});

describe("arrays", () => {
  test.for([
    ["text[]", [["a", null], ["b"]]],
    ["double precision[]", [[new Int32(1)], [new Double(2.5)]]],
    ["numeric[]", [[Long.fromString("9007199254740993")], [new Double(2.5)]]],
    ["numeric[]", [[Decimal128.fromString("1.10"), new Int32(1)]]],
    ["timestamptz[]", [[new Date()]]],
    ["uuid[]", [[new UUID()], [new UUID()]]],
    ["jsonb", [["a", new Int32(1)]]],
    ["jsonb", [["a"], [new Int32(1)]]],
    ["jsonb", [[["a"]]]],
    ["jsonb", [["a", { b: 1 }]]],
    ["child", [[{ b: 1 }]]],
    ["jsonb", [[{}]]],
  ] as const)("%s: %j", ([type, values]) => {
    expect(typeFor(values)).toBe(type);
  });

  test.for([
    ["text[]", [["a"], [], [null]]],
    ["text[]", [[], [], [], ["a"]]],
    ["child", [[], [{ b: true }], []]],
    ["in _extra: field (always null or an empty array)", [[], [null], null]],
    ["in _extra: field (always null)", [null, null]],
    ["jsonb", [[], "a"]],
  ] as const)("an empty array and null say nothing: %s", ([type, values]) => {
    expect(typeFor(values)).toBe(type);
  });
});

describe("where a few values are of another type", () => {
  const texts = Array.from({ length: 99 }, (_, n) => `t${n}`);

  test("the column has the type of the others, and its comment counts those that do not fit", () => {
    const { columns } = findTable(summaryOf([...texts, new Int32(300)].map((title) => ({ title }))), {
      arrays: "children",
    });
    expect(columns).toEqual([{ path: ["title"], type: "text", comment: "100 %: string, int; 1 does not fit" }]);
  });

  test("an array that has one fits only as a whole", () => {
    const values = [...texts.map((text) => [text]), ["a", new Int32(1)]];
    const { columns } = findTable(summaryOf(values.map((tags) => ({ tags }))), { arrays: "children" });
    expect(columns).toEqual([
      { path: ["tags"], type: "text[]", comment: "100 %: array of string or int; 1 does not fit" },
    ]);
  });

  test("a sub-document keeps its columns, and a note says what they do not hold", () => {
    const documents = [...texts.map((city) => ({ place: { city } })), { place: "here" }];
    const { columns, notes } = findTable(summaryOf(documents), { arrays: "children" });
    expect(columns).toEqual([{ path: ["place", "city"], type: "text", comment: "99 %: string" }]);
    expect(notes).toEqual(["in _extra: 1 of 100 values of place, which are no documents"]);
  });
});
