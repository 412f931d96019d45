// Names and shapes of documents that break other pipelines, one by one.
import { describe, expect, it } from "vitest";
import { HeadraceError } from "../../../src/errors/error.ts";
import { array, decimal, documentBytes, double, field, int32, object, text } from "../formats/bson-model.ts";
import { createTestEncoder, ID_FIELD, OBJECT_ID } from "./encoding.ts";
import { docOf, encodeId, rowOf } from "./rows.ts";

describe("21: a name", () => {
  it("with dots or $, empty, from Object.prototype, reserved or long works like any other", () => {
    const names = ["a.b", "$set", "", "__proto__", "constructor", "select", "ü".repeat(31), "x".repeat(1000)];
    const fields = names.map((name, index) => field(name, int32(index)));
    const types = Object.fromEntries(names.map((name, index) => [`c${index}`, { path: [name], type: "integer" }]));
    expect(rowOf(types, fields)).toEqual({
      ...Object.fromEntries(names.map((_name, index) => [`c${index}`, BigInt(index)])),
      _extra: null,
      misfits: [],
    });
    expect(new Map(Object.entries(rowOf({}, fields)._extra as object))).toEqual(
      new Map(names.map((name, index) => [name, { $numberInt: `${index}` }])),
    );
  });

  it("of a column may be forbidden in Avro, or look like an escape", () => {
    const types = { "a b": "integer", a_b: "integer", a_u0020b: "integer", "1": "integer" };
    const fields = ["a b", "a_b", "a_u0020b", "1"].map((name, index) => field(name, int32(index)));
    expect(rowOf(types, fields)).toMatchObject({ "a b": 0n, a_b: 1n, a_u0020b: 2n, "1": 3n, _extra: null });
  });

  it("that occurs several times counts only the last time; the others are dropped and counted", () => {
    const fields = [
      field("a", int32(1)),
      field("b", object(field("x", int32(1)), field("x", int32(2)))),
      field("a", int32(2)),
    ];
    expect(rowOf({ a: "integer" }, fields)).toEqual({
      a: 2n,
      _extra: { b: { x: { $numberInt: "2" } } },
      misfits: ["_extra"],
    });
    expect(rowOf({ b: "jsonb" }, fields)).toEqual({
      b: { x: "number 2" },
      _extra: { a: { $numberInt: "2" } },
      misfits: ["b", "_extra"],
    });
    expect(docOf(fields)).toEqual({ a: "number 2", b: { x: "number 2" } });
  });
});

describe("29: silently wrong elsewhere:", () => {
  it("a removed field is null in the record, not missing", () => {
    const types = { a: "text", b: { path: ["c", "d"], type: "text" } };
    expect(rowOf(types, [])).toEqual({ a: null, b: null, _extra: null, misfits: [] });
  });

  it("2.5 in an integer column is not 2", () => {
    expect(rowOf({ n: "integer" }, [field("n", double(2.5))])).toEqual({
      n: null,
      _extra: { n: { $numberDouble: "2.5" } },
      misfits: ["n"],
    });
  });

  it("_id 7 and _id '7' have different keys, 7 and 7.00 have the same", () => {
    expect(encodeId("mixed", int32(7))).not.toEqual(encodeId("mixed", text("7")));
    expect(encodeId("mixed", int32(7))).toEqual(encodeId("mixed", decimal("7.00")));
  });

  it("names keep their case", () => {
    const fields = [field("Name", text("a")), field("name", text("b"))];
    expect(rowOf({ Name: "text", name: "text" }, fields)).toEqual({ Name: "a", name: "b", _extra: null, misfits: [] });
  });
});

describe("30: fatal elsewhere:", () => {
  it("an array of documents", () => {
    const fields = [field("items", array(object(field("sku", text("a"))), object(field("sku", text("b")))))];
    expect(rowOf({ items: "jsonb" }, fields)).toMatchObject({ items: [{ sku: "a" }, { sku: "b" }] });
    expect(rowOf({ items: "jsonb[]" }, fields)).toMatchObject({ items: ['{"sku":"a"}', '{"sku":"b"}'] });
  });

  it("a document as _id", () => {
    const id = object(field("b", int32(1)), field("a", text("x")));
    expect(encodeId("mixed", id)).toEqual({ _id: '{"b":{"$numberLong":"1"},"a":"x"}' });
    expect(() => encodeId("objectId", id)).toThrow(HeadraceError);
  });

  it("1,700 fields", () => {
    const fields = Array.from({ length: 1700 }, (_, index) => field(`f${index}`, int32(index)));
    expect(Object.keys(docOf(fields) as object)).toHaveLength(1700);
    const types = Object.fromEntries(Array.from({ length: 1590 }, (_, index) => [`f${index}`, "integer"]));
    const row = rowOf(types, fields) as Record<string, unknown>;
    expect([row.f0, row.f1589, Object.keys(row._extra as object).length]).toEqual([0n, 1589n, 110]);
  });

  it("{a: {b}} beside a_b, and a declared path through a value that is not a document", () => {
    const types = { "a.b": { path: ["a", "b"], type: "integer" }, a_b: "integer" };
    const nested = [field("a", object(field("b", int32(1)), field("c", int32(3)))), field("a_b", int32(2))];
    expect(rowOf(types, nested)).toEqual({
      "a.b": 1n,
      a_b: 2n,
      _extra: { a: { c: { $numberInt: "3" } } },
      misfits: [],
    });
    expect(rowOf(types, [field("a", text("x"))])).toEqual({
      "a.b": null,
      a_b: null,
      _extra: { a: "x" },
      misfits: ["a.b"],
    });
    expect(rowOf(types, [field("a", { type: "null" })])).toEqual({
      "a.b": null,
      a_b: null,
      _extra: { a: null },
      misfits: [],
    });
    expect(rowOf(types, [field("a", object())])).toEqual({ "a.b": null, a_b: null, _extra: { a: {} }, misfits: [] });
  });
});

it("a document that is only its _id has no _extra", () => {
  const event = createTestEncoder([]).encodeRaw(documentBytes([ID_FIELD]));
  expect(event.envelope.after).toEqual({ _id: OBJECT_ID.toString("hex"), _extra: null });
});
