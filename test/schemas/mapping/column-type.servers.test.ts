import { expect, it } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { freshPostgresSchema } from "../../support/servers.ts";

const { pool } = await freshPostgresSchema();

const SPELLINGS = `
  text; varchar; varchar(20); character varying(7); char; char(3); character(4); int2;
  smallint; int; int4; integer; int8; bigint; float4; real;
  float8; float; double precision; numeric; decimal; decimal(10); numeric(10,2); numeric(1000,1000);
  numeric(5,-3); bool; boolean; date; timestamp; timestamptz; timestamp without time zone; timestamp with time zone;
  uuid; bytea; jsonb`
  .split(";")
  .map((text) => text.trim());

it("a column type's normal form is PostgreSQL's own", async () => {
  const texts = [...SPELLINGS, ...SPELLINGS.map((text) => `${text}[]`)];
  await pool.query(`CREATE TABLE typed (${texts.map((text, index) => `c${index} ${text}`).join(", ")})`);
  const { rows } = await pool.query<{ sql: string }>(
    `SELECT format_type(atttypid, atttypmod) AS sql FROM pg_attribute
     WHERE attrelid = 'typed'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  expect(texts.map((text) => parseColumnType(text).sql)).toEqual(rows.map(({ sql }) => sql));
});
