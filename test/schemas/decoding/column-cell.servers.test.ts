import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { freshPostgresSchema } from "../../support/servers.ts";
import { cellTextOf } from "./cell-text.ts";

const { pool } = await freshPostgresSchema();

/** Settings that a careless notation of times would be read wrongly with. */
const ODD_SESSION = "SET timezone = 'Asia/Kolkata'; SET datestyle = 'German, DMY'; SET extra_float_digits = 0";

const textOf = (sql: string, decoded: unknown) => cellTextOf(parseColumnType(sql))(decoded);

/** What PostgreSQL makes of each text. */
async function select<T>(expression: string, texts: readonly unknown[]): Promise<T[]> {
  const connection = await pool.connect();
  try {
    await connection.query(ODD_SESSION);
    const { rows } = await connection.query<{ result: T }>(
      `SELECT ${expression} AS result FROM unnest($1::text[]) WITH ORDINALITY AS input(t, place) ORDER BY place`,
      [texts],
    );
    return rows.map(({ result }) => result);
  } finally {
    connection.release(true);
  }
}

/** 4714-11-24 BC and the end of 294276: what PostgreSQL holds. */
const FIRST_MS = -210_866_803_200_000n;
const LAST_MS = 9_224_318_015_999_999n;
const DAY_MS = 86_400_000n;

const time = fc.oneof(
  fc.bigInt(FIRST_MS, LAST_MS),
  fc.bigInt(-(10n ** 13n), 10n ** 13n),
  fc.constantFrom(
    FIRST_MS,
    LAST_MS,
    0n,
    -1n,
    999n,
    -62_135_596_800_001n,
    -62_135_596_800_000n,
    253_402_300_799_999n,
    253_402_300_800_000n,
    -62_167_219_200_001n,
    -62_167_219_200_000n,
    8_640_000_000_000_000n,
    8_640_000_000_000_001n,
  ),
);

/** fast-check's strings without what PostgreSQL has no text for. */
const text = fc.string({ unit: "binary" }).map((value) => value.replaceAll("\0", "").toWellFormed());
const hostileText = fc.oneof(
  text,
  fc.constantFrom("", "NULL", "null", '"', "\\", '\\"', "{}", ",", " ", "a b", "{a,b}"),
);
const float = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324),
);

async function checkEach<T>(arbitrary: fc.Arbitrary<T>, check: (values: readonly T[]) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(fc.array(arbitrary, { minLength: 1, maxLength: 300, size: "max" }), check), {
    numRuns: 20,
  });
}

describe("PostgreSQL reads a column's text as the same value", () => {
  it("for timestamps with and without time zone", async () => {
    await checkEach(time, async (times) => {
      const expected = times.map(String);
      for (const sql of ["timestamp with time zone", "timestamp without time zone"]) {
        const texts = times.map((ms) => textOf(sql, ms));
        expect(await select(`(extract(epoch FROM t::${sql}) * 1000)::bigint::text`, texts)).toEqual(expected);
      }
    });
  });

  it("for dates", async () => {
    await checkEach(time, async (times) => {
      const days = times.map((ms) => BigInt.asIntN(64, (ms - FIRST_MS) / DAY_MS + FIRST_MS / DAY_MS));
      const texts = days.map((day) => textOf("date", Number(day)));
      expect(await select("t::date - date '1970-01-01'", texts)).toEqual(days.map(Number));
    });
  });

  it("for double precision", async () => {
    await checkEach(float, async (floats) => {
      const bits = await select<Buffer>(
        "float8send(t::float8)",
        floats.map((value) => textOf("double precision", value)),
      );
      expect(bits.map((buffer) => buffer.readDoubleBE())).toEqual(floats);
    });
  });

  it("for bigint, boolean and bytea", async () => {
    await checkEach(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), async (integers) => {
      const texts = integers.map((value) => textOf("bigint", value));
      expect(await select("t::bigint::text", texts)).toEqual(integers.map(String));
    });
    expect(await select("t::boolean", [textOf("boolean", true), textOf("boolean", false)])).toEqual([true, false]);
    await checkEach(fc.uint8Array(), async (arrays) => {
      const buffers = arrays.map((array) => Buffer.from(array));
      expect(
        await select(
          "t::bytea",
          buffers.map((value) => textOf("bytea", value)),
        ),
      ).toEqual(buffers);
    });
  });

  it("for arrays of text", async () => {
    await checkEach(fc.array(fc.option(hostileText)), async (arrays) => {
      const texts = arrays.map((array) => textOf("text[]", array));
      expect(await select("to_jsonb(t::text[])", texts)).toEqual(arrays);
      expect(await select("array_ndims(t::text[])", texts)).toEqual(
        arrays.map(({ length }) => (length > 0 ? 1 : null)),
      );
    });
  });

  it.each<[string, fc.Arbitrary<unknown>]>([
    ["timestamp with time zone", time],
    ["bytea", fc.uint8Array().map((array) => Buffer.from(array))],
    ["double precision", float],
    ["bigint", fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)],
    ["boolean", fc.boolean()],
    ["uuid", fc.uuid()],
    ["numeric", fc.constantFrom("NaN", "Infinity", "1.50", "-7E+20")],
    [
      "jsonb",
      fc
        .oneof(hostileText, fc.constant({ a: ["\\", 1, null] }))
        .map((value) => JSON.stringify(value).replaceAll(String.raw`\u0000`, "")),
    ],
  ])("for arrays of %s: each element as it would be alone", async (sql, arbitrary) => {
    await checkEach(arbitrary, async (elements) => {
      const [all] = await select<string[]>(`(t::${sql}[])::text[]`, [textOf(`${sql}[]`, [null, ...elements])]);
      const alone = await select<string>(
        `(t::${sql})::text`,
        elements.map((element) => textOf(sql, element)),
      );
      expect(all).toEqual([null, ...alone]);
    });
  });

  it("for NULL", () => {
    expect(textOf("text", null)).toBeNull();
    expect(textOf("text[]", null)).toBeNull();
  });
});
