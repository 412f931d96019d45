// PostgreSQL as the oracle: what the encoder says fits a column is returned unchanged, and all its JSON is jsonb.
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { freshPostgresSchema } from "../../support/servers.ts";
import { cellTextOf } from "../decoding/cell-text.ts";
import { fields, scalar } from "../formats/arbitrary-bson.ts";
import { type Bson, documentBytes, field, mended } from "../formats/bson-model.ts";
import { columnOf, columnsOf, createTestEncoder, ID_FIELD } from "./encoding.ts";
import { decimalParts, decimalText, parseExactly, uuidText } from "./expected-json.ts";

const { pool } = await freshPostgresSchema();

/** How PostgreSQL is asked whether the column `c` has the value that is written as `original` here. */
const SAME: Readonly<Record<string, string>> = {
  text: "c::text = original",
  "varchar(3)": "c::text = original",
  "varchar(24)": "c::text = original",
  "char(3)": "c::text = original",
  "char(24)": "c::text = original",
  smallint: "c::numeric = original::numeric",
  integer: "c::numeric = original::numeric",
  bigint: "c::numeric = original::numeric",
  real: "c::float8::text = original::float8::text OR c::text::float8::text = original::float8::text",
  "double precision": "c::text = original::float8::text",
  numeric: "c = original::numeric",
  "numeric(5,2)": "c = original::numeric",
  "numeric(20)": "c = original::numeric",
  "numeric(38,10)": "c = original::numeric",
  boolean: "c::text = original",
  date: "extract(epoch FROM c::timestamp) * 1000 = original::numeric",
  timestamp: "extract(epoch FROM c) * 1000 = original::numeric",
  timestamptz: "extract(epoch FROM c) * 1000 = original::numeric",
  uuid: "c::text = original",
  bytea: "encode(c, 'hex') = original",
};

/** A value as text from which PostgreSQL, or anybody, can read it exactly. */
function written(value: Bson): string {
  if (value.type === "string") return mended(value.utf8);
  if (value.type === "binary") return uuidText(value) ?? value.bytes.toString("hex");
  if (value.type === "objectId") return value.bytes.toString("hex");
  if (value.type === "decimal128") return decimalText(value);
  if (value.type === "double" && Object.is(value.value, -0)) return "-0";
  if ("value" in value) return String(value.value);
  throw new Error(`no column takes a ${value.type}`);
}

async function checkBatches<T>(
  arbitrary: fc.Arbitrary<T>,
  check: (values: readonly T[]) => Promise<void>,
): Promise<void> {
  await fc.assert(fc.asyncProperty(fc.array(arbitrary, { minLength: 100, maxLength: 500, size: "max" }), check), {
    numRuns: 10,
  });
}

describe.each(Object.keys(SAME))("a column of type %s", (type) => {
  const encoder = createTestEncoder(columnsOf({ value: type }));
  const toCellText = cellTextOf(parseColumnType(type));
  const columnText = (value: Bson) => toCellText(columnOf(encoder.encode([field("value", value)]), "value"));

  it("returns every value that fits it unchanged", async () => {
    await checkBatches(scalar, async (values) => {
      const held = values.flatMap((value) => {
        const text = columnText(value);
        return text === null ? [] : [{ text, original: written(value) }];
      });
      const { rows } = await pool.query(
        `SELECT sent, original FROM (
           SELECT sent, original, sent::${type} AS c FROM unnest($1::text[], $2::text[]) AS input(sent, original)
         ) AS cast_input WHERE (${SAME[type]}) IS NOT TRUE`,
        [held.map(({ text }) => text), held.map(({ original }) => original)],
      );
      expect(rows).toEqual([]);
    });
  });
});

describe("a number", () => {
  const isNumber = (value: Bson) => ["int32", "int64", "double", "decimal128"].includes(value.type);
  const isPositiveOrNotZero = (value: Bson) => !/^-0(\.0*)?(E.*)?$/.test(written(value));
  const numbers = scalar.filter((value) => isNumber(value) && isPositiveOrNotZero(value));

  beforeAll(async () => {
    await pool.query(`CREATE FUNCTION keeps(type text, original text) RETURNS boolean LANGUAGE plpgsql AS $$
      DECLARE kept boolean;
      BEGIN
        EXECUTE format('SELECT %L::%s::numeric = %L::numeric', original, type, original) INTO kept;
        RETURN kept;
      EXCEPTION WHEN data_exception THEN
        RETURN false;
      END $$`);
  });

  it.each(["numeric", "numeric(5,2)", "numeric(20)", "numeric(38,10)", "numeric(3,1)"])(
    "fits %s wherever PostgreSQL keeps it",
    async (type) => {
      const encoder = createTestEncoder(columnsOf({ value: type }));
      await checkBatches(numbers, async (values) => {
        const { rows } = await pool.query<{ kept: boolean }>(
          "SELECT keeps($1, original) AS kept FROM unnest($2::text[]) WITH ORDINALITY AS input(original, place) ORDER BY place",
          [type, values.map(written)],
        );
        const fits = values.map((value) => columnOf(encoder.encode([field("value", value)]), "value") !== null);
        expect(fits).toEqual(rows.map(({ kept }) => kept));
      });
    },
  );
});

describe("JSON", () => {
  const whole = createTestEncoder(undefined);
  const split = createTestEncoder(columnsOf({ a: "jsonb", b: "jsonb[]", "x.y": "jsonb" }));

  it("of every document is jsonb, and comes back unchanged", async () => {
    await checkBatches(fields, async (documents) => {
      const sent = documents.flatMap((document) => {
        const bytes = documentBytes([ID_FIELD, ...document]);
        const event = split.encodeRaw(bytes);
        const items = (columnOf(event, "b") ?? []) as readonly unknown[];
        return [
          columnOf(whole.encodeRaw(bytes), "doc"),
          columnOf(event, "a"),
          columnOf(event, "x.y"),
          columnOf(event, "_extra"),
          ...items,
        ]
          .filter((json) => json !== null)
          .map(String);
      });
      const { rows } = await pool.query<{ json: string }>(
        "SELECT sent::jsonb::text AS json FROM unnest($1::text[]) WITH ORDINALITY AS input(sent, place) ORDER BY place",
        [sent],
      );
      expect(rows.map(({ json }) => withPlainNumbers(json))).toEqual(sent.map(withPlainNumbers));
    });
  });
});

/** Numbers by their value: PostgreSQL writes 1e21 with all its digits. */
function withPlainNumbers(json: string): unknown {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value === "object" && value !== null) {
      return new Map(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
    }
    if (typeof value !== "string" || !/^number -?[0-9]/.test(value)) return value;
    const [coefficient, exponent] = decimalParts(value.slice("number ".length));
    const digits = String(coefficient).replace(/0+$/, "");
    return coefficient === 0n
      ? "number 0"
      : `number ${digits}e${exponent + String(coefficient).length - digits.length}`;
  };
  return plain(parseExactly(json));
}
