import * as fc from "fast-check";
import { Client } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
// The producer's encoder and verify implement the same rules independently. The encoder writes to a real PostgreSQL, and
// verify reads from it.
import type { CollectionMapping, ColumnMapping } from "../../../src/schemas/mapping/mapping.ts";
import { TableReader } from "../../../src/verify/table-reader.ts";
import { readBson } from "../../../src/verify/values/bson.ts";
import { comparedColumns, differingColumns } from "../../../src/verify/values/document-row.ts";
import { cellTextOf } from "../../schemas/decoding/cell-text.ts";
import { ID_FIELD, columnOf, columnsOf, createTestEncoder } from "../../schemas/encoding/encoding.ts";
import { COLUMN_TYPES, NAMES, fields, scalar, uniformArray } from "../../schemas/formats/arbitrary-bson.ts";
import { documentBytes, field } from "../../schemas/formats/bson-model.ts";
import type { Field } from "../../schemas/formats/bson-model.ts";
import { freshPostgresSchema, servers } from "../../support/servers.ts";

// `endOnFailure` switches off shrinking: each step would write hundreds of rows. The message has the document.
const { schema, pool } = await freshPostgresSchema();
const client = new Client({ connectionString: servers().postgresUrl });
await client.connect();
afterAll(() => client.end());

type Texts = readonly (string | null)[];

/** Encodes documents, writes them to a new table `things` under their index, and reads the rows as verify does. */
async function written(columns: readonly ColumnMapping[] | undefined, documents: readonly Buffer[]): Promise<Texts[]> {
  const encoder = createTestEncoder(columns);
  const jsonb = { type: parseColumnType("jsonb") };
  const targets = columns === undefined ? [{ name: "doc", ...jsonb }] : [...columns, { name: "_extra", ...jsonb }];
  const definitions = targets.map(({ name, type }) => `, "${name}" ${type.sql}`).join("");
  await pool.query(`DROP TABLE IF EXISTS things; CREATE TABLE things (_id bigint PRIMARY KEY ${definitions})`);
  const toCellTexts = targets.map(({ type }) => cellTextOf(type));
  const insert = `INSERT INTO things VALUES ($1${targets.map((_, i) => `, $${i + 2}`).join("")})`;
  for (const [i, document] of documents.entries()) {
    const event = encoder.encodeRaw(document);
    await pool.query(insert, [i, ...targets.map(({ name }, c) => toCellTexts[c]?.(columnOf(event, name)))]);
  }
  const rows: Texts[] = [];
  const table = await TableReader.open(client, { schema, table: "things" });
  await table.rows(
    documents.map((_, i) => String(i)),
    comparedColumns(mappingOf(columns)),
    (key, _version, texts) => (rows[Number(key)] = texts),
  );
  return rows;
}

function mappingOf(columns: readonly ColumnMapping[] | undefined): CollectionMapping {
  const mode = columns === undefined ? "document" : "columns";
  return { collection: "things", mode, columns: columns ?? [], children: [], idType: "integer" };
}

const documents = fc.array(
  fields.map((each) => documentBytes([ID_FIELD, ...each])),
  { minLength: 50, maxLength: 200, size: "max" },
);

async function expectEqual(columns: readonly ColumnMapping[] | undefined, each: readonly Buffer[]): Promise<void> {
  const rows = await written(columns, each);
  for (const [i, document] of each.entries()) {
    const differing = differingColumns(mappingOf(columns), readBson(document, "\ufffd"), rows[i] ?? []);
    if (differing.length > 0) expect({ document: document.toString("hex"), row: rows[i], differing }).toBeUndefined();
  }
}

test("random documents are equal in document mode", async () => {
  await fc.assert(
    fc.asyncProperty(documents, (each) => expectEqual(undefined, each)),
    { numRuns: 20, endOnFailure: true },
  );
});

test("random documents are equal in columns of random types at random paths", async () => {
  const type = fc
    .tuple(fc.constantFrom(...COLUMN_TYPES), fc.boolean())
    .map(([base, array]) => base + (array ? "[]" : ""));
  const path = fc.oneof(
    fc.constantFrom(...NAMES).map((name) => [name]),
    fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES)),
  );
  const columns = fc
    .uniqueArray(fc.record({ path, type }), { minLength: 1, maxLength: 12, selector: (each) => each.path[0] })
    .map((each) => columnsOf(Object.fromEntries(each.map((column, i) => [`c${i}`, column]))));
  await fc.assert(fc.asyncProperty(columns, documents, expectEqual), { numRuns: 40, endOnFailure: true });
});

describe("a document and the row of another document are equal", () => {
  const types = COLUMN_TYPES.flatMap((base) => [base, `${base}[]`]);

  test.each(types)("exactly if PostgreSQL considers their rows equal, in a column of type %s", async (type) => {
    const columns = columnsOf({ v: type });
    const value = type.endsWith("[]") ? uniformArray : scalar;
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 150, maxLength: 150, size: "max" }), async (values) => {
        const each = values.map((item): Field[] => [ID_FIELD, field("v", item)]).map(documentBytes);
        const rows = await written(columns, each);
        const { rows: same } = await pool.query<{ pair: string }>(
          `SELECT a._id || ' ' || b._id AS pair FROM things a, things b
           WHERE a.v IS NOT DISTINCT FROM b.v AND a._extra IS NOT DISTINCT FROM b._extra
             AND ($1 OR a.v::text IS NOT DISTINCT FROM b.v::text)`,
          [/numeric|jsonb/.test(type)], // others have one text for one value, and floats two zeros
        );
        const found: string[] = [];
        for (const [i, document] of each.entries()) {
          const read = readBson(document, "\ufffd");
          for (const [j, row] of rows.entries()) {
            if (differingColumns(mappingOf(columns), read, row).length === 0) found.push(`${i} ${j}`);
          }
        }
        expect(found.toSorted()).toEqual(same.map(({ pair }) => pair).toSorted());
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });
});
