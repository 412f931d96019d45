import { deserialize, EJSON } from "bson";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { mappingMistakes } from "../../../src/schemas/mapping/mapping-mistakes.ts";
import type { ColumnMapping } from "../../../src/schemas/mapping/mapping.ts";
import { COLUMN_TYPES, fields, NAMES } from "../formats/arbitrary-bson.ts";
import { type Bson, documentBytes, type Field, lastFields } from "../formats/bson-model.ts";
import { columnOf, createTestEncoder, ID_FIELD } from "./encoding.ts";
import { isAltered, parseExactly, plainJson } from "./expected-json.ts";
import { expectedRecord } from "./expected-record.ts";

const column = fc.record({
  path: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  type: fc
    .tuple(fc.constantFrom(...COLUMN_TYPES), fc.constantFrom("", "", "[]"))
    .map(([type, array]) => parseColumnType(type + array)),
});

/** Declared columns whose paths do not overlap, in another order than the documents' fields. */
const columns: fc.Arbitrary<readonly ColumnMapping[]> = fc.array(column, { maxLength: 8 }).map((candidates) => {
  const chosen: ColumnMapping[] = [];
  for (const { path, type } of candidates) {
    const next = { name: `column ${chosen.length}`, path, type };
    if (
      mappingMistakes({
        collection: "c",
        mode: "columns",
        columns: [...chosen, next],
        children: [],
        idType: "objectId",
      }).length === 0
    )
      chosen.push(next);
  }
  return chosen;
});

const RUNS = { numRuns: 600 };

describe("columns mode", () => {
  it("writes each column and _extra as expected, in the same bytes as avsc", () => {
    fc.assert(
      fc.property(columns, fields, (mapping, document) => {
        const event = createTestEncoder(mapping).encode(document);
        const expected = expectedRecord(mapping, document);
        for (const { name, type } of mapping) {
          const value = columnOf(event, name);
          expect(type.base === "jsonb" ? jsonOf(value) : value).toEqual(expected.columns[name]);
        }
        const extra = columnOf(event, "_extra");
        expect(extra === null ? null : parseExactly(extra as string)).toEqual(expected.extra);
        expect(new Set(event.misfits)).toEqual(expected.misfits);
        expect(event.misfits).toHaveLength(expected.misfits.size);
        expect(event.value.subarray(5).equals(event.avscBytes)).toBe(true);
      }),
      RUNS,
    );
  });

  it("encodes the same after any other documents", () => {
    fc.assert(
      fc.property(columns, fc.array(fields, { maxLength: 5 }), fields, (mapping, others, document) => {
        const used = createTestEncoder(mapping);
        for (const other of others) used.encode(other);
        expect(used.encode(document).value).toEqual(createTestEncoder(mapping).encode(document).value);
      }),
    );
  });
});

/** Whether `bson` represents the value exactly: it has no Undefined, makes DBRefs, and its dates are JavaScript's. */
function isKeptByBson(value: Bson): boolean {
  if (isAltered(value) || value.type === "undefined" || value.type === "dbPointer") return false;
  if (value.type === "date") return value.value >= -8_640_000_000_000_000n && value.value <= 8_640_000_000_000_000n;
  if (value.type === "array") return value.items.every(isKeptByBson);
  const inner = value.type === "document" ? value.fields : value.type === "codeWithScope" ? value.scope : [];
  return inner.every((field) => isKeptByBson(field.value));
}

describe("_extra without any column", () => {
  it("is the canonical Extended JSON of bson", () => {
    const encoder = createTestEncoder([]);
    const keptFields = fields.map((all) =>
      lastFields(all).filter(({ name, value }) => isKeptByBson({ type: "document", fields: [{ name, value }] })),
    );
    fc.assert(
      fc.property(keptFields, (document) => {
        const bytes = documentBytes([ID_FIELD, ...document]);
        const { _id, ...rest } = deserialize(bytes, { promoteValues: false, bsonRegExp: true });
        const expected = document.length === 0 ? null : parseExactly(EJSON.stringify(rest, { relaxed: false }));
        const extra = columnOf(encoder.encodeRaw(bytes), "_extra");
        expect(extra === null ? null : parseExactly(extra as string)).toEqual(expected);
      }),
      RUNS,
    );
  });
});

describe("document mode", () => {
  it("writes the whole document as plain JSON", () => {
    fc.assert(
      fc.property(fields, (document) => {
        const event = createTestEncoder(undefined).encode(document);
        const whole: Bson = { type: "document", fields: [ID_FIELD, ...document] as readonly Field[] };
        expect(parseExactly(columnOf(event, "doc") as string)).toEqual(parseExactly(plainJson(whole)));
        expect(event.misfits).toEqual(isAltered(whole) ? ["doc"] : []);
        expect(event.value.subarray(5).equals(event.avscBytes)).toBe(true);
      }),
      RUNS,
    );
  });
});

function jsonOf(value: unknown): unknown {
  if (value === null) return null;
  return Array.isArray(value) ? value.map(jsonOf) : parseExactly(value as string);
}
