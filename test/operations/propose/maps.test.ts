import { ObjectId, UUID, type Document } from "mongodb";
import { expect, test } from "vitest";
import { findTable } from "../../../src/operations/propose/find-columns.ts";
import { summaryOf } from "./summary-of.ts";

const columnsFor = (values: readonly Document[]) =>
  findTable(summaryOf(values.map((field) => ({ field }))), { arrays: "children" }).columns.map(
    ({ path, type }) => `${path.join(".")} ${type}`,
  );

const one = (name: string) => ({ [name]: 1 });

test.for<[string, readonly Document[]]>([
  ["translations", [{ en: "one", de: "eins" }, { fr: "un" }]],
  ["translations with regions", [{ "en-US": "color", en_GB: "colour", "zh-Hans-CN": "x" }]],
  ["translations by three letters", [{ deu: "a", eng: "b", cym: "c" }]],
  ["numbers", [{ 2020: 1, 2021: 2 }]],
  ["dates", [{ "2024-01-31": 1 }, { "2024-02": 1 }]],
  ["ObjectIds", [one(new ObjectId().toHexString()), one(new ObjectId().toHexString())]],
  ["UUIDs", [one(new UUID().toString())]],
  ["mail addresses", [one("a@b.example")]],
  ["many names", [Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`key${n}`, n]))]],
  ["different names in each document", Array.from({ length: 20 }, (_, n) => ({ [`a${n}`]: 1, [`b${n % 7}`]: 1 }))],
  ["more names than are remembered", Array.from({ length: 100 }, (_, n) => one(`key${n}`))],
])("%s are one jsonb column", ([, values]) => {
  expect(columnsFor(values)).toEqual(["field jsonb"]);
});

test.for<[readonly Document[]]>([
  [[{ id: 1, to: 2 }]],
  [[{ lat: 1, lon: 2 }]],
  [[{ lo: 1, hi: 2 }]],
  [[{ is: 1, no: 1 }]],
  [[{ w: 1.5, h: 2 }]],
  [[{ "1st": 1, name: "a" }]],
])("%j is no map", ([values]) => {
  expect(columnsFor(values)).toHaveLength(2);
});

test("an array of maps is one jsonb column", () => {
  expect(columnsFor([[{ en: "one" }, { de: "eins" }]])).toEqual(["field jsonb"]);
});
