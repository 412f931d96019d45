import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { collectionSchema } from "../../../src/schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import type { AvroRecord } from "../../../src/schemas/mapping/envelope.ts";
import { mappingMistakes } from "../../../src/schemas/mapping/mapping-mistakes.ts";
import type { CollectionMapping, ColumnMapping, IdType } from "../../../src/schemas/mapping/mapping.ts";

const ORIGIN = { name: "shop", database: "store", topic: "shop.store.products" };

const column = (name: string, path: readonly string[] = [name], sql = "text"): ColumnMapping => ({
  name,
  path,
  type: parseColumnType(sql),
});

const mapping = (columns: readonly ColumnMapping[]): CollectionMapping => ({
  collection: "products",
  mode: "columns",
  columns,
  children: [],
  idType: undefined,
});

const DOCUMENT_MODE: CollectionMapping = {
  collection: "carts",
  mode: "document",
  columns: [],
  children: [],
  idType: undefined,
};

function messages(of: CollectionMapping): readonly string[] {
  return mappingMistakes(of).map(({ message }) => message);
}

/** The records and fields in an Avro definition that have no `doc`. */
function namesWithoutDoc(definition: unknown): readonly string[] {
  if (Array.isArray(definition)) return definition.flatMap(namesWithoutDoc);
  if (typeof definition !== "object" || definition === null) return [];
  const { name, doc, type, items, fields } = definition as Record<string, unknown>;
  const inner = [type, items, fields].flatMap(namesWithoutDoc);
  return typeof name === "string" && (typeof doc !== "string" || doc === "") ? [name, ...inner] : inner;
}

describe("the schema of a collection", () => {
  it("in columns mode has _id, the columns and _extra", () => {
    const columns = [column("sku"), column("US Gross", ["US Gross"], "int8"), column("width", ["dims", "w"], "float8")];
    const schema = collectionSchema(mapping(columns), "objectId", ORIGIN);
    expect(schema).toMatchObject({
      idType: "objectId",
      keySubject: "shop.store.products-key",
      valueSubject: "shop.store.products-value",
      keySchema: {
        type: "record",
        name: "Key",
        namespace: "shop.store.products",
        "headrace.idType": "objectId",
        fields: [{ name: "_id", doc: expect.any(String), type: "string" }],
      },
    });
    expect(schema.fields.map(({ column, type }) => [column, type.sql])).toEqual([
      ["sku", "text"],
      ["US Gross", "bigint"],
      ["width", "double precision"],
      ["_extra", "jsonb"],
    ]);
    const [before, after, source, op, time] = schema.valueSchema.fields;
    expect([before, after, source, op, time].map((field) => field?.name)).toEqual([
      "before",
      "after",
      "source",
      "op",
      "ts_ms",
    ]);
    expect(after).toEqual({ name: "after", doc: expect.any(String), type: ["null", "Value"], default: null });
    expect(before?.type).toEqual([
      "null",
      {
        type: "record",
        name: "Value",
        doc: expect.any(String),
        fields: [
          { name: "_id", doc: expect.any(String), type: "string", "headrace.idType": "objectId" },
          {
            name: "sku",
            doc: "The document's field sku, for a column of type text.",
            type: ["null", "string"],
            default: null,
            "headrace.column": "sku",
            "headrace.type": "text",
          },
          {
            name: "US_u0020Gross",
            doc: "The document's field US Gross, for a column of type bigint.",
            type: ["null", "long"],
            default: null,
            "headrace.column": "US Gross",
            "headrace.type": "bigint",
          },
          {
            name: "width",
            doc: "The document's field dims.w, for a column of type double precision.",
            type: ["null", "double"],
            default: null,
            "headrace.column": "width",
            "headrace.type": "double precision",
          },
          {
            name: "_extra",
            doc: expect.any(String),
            type: ["null", { type: "string", "connect.name": "io.debezium.data.Json" }],
            default: null,
            "headrace.column": "_extra",
            "headrace.type": "jsonb",
          },
        ],
      },
    ]);
  });

  it("in document mode has _id and doc", () => {
    const schema = collectionSchema(DOCUMENT_MODE, "integer", ORIGIN);
    expect(schema.fields.map(({ column, type }) => [column, type.sql])).toEqual([["doc", "jsonb"]]);
    expect(schema.keySchema.fields[0]?.type).toBe("long");
  });

  it.each<[IdType, unknown]>([
    ["objectId", "string"],
    ["string", "string"],
    ["mixed", "string"],
    ["integer", "long"],
    ["uuid", { type: "string", logicalType: "uuid" }],
  ])("has the same type of _id as its keys (%s)", (idType, avro) => {
    expect(collectionSchema(DOCUMENT_MODE, idType, ORIGIN).keySchema.fields[0]?.type).toEqual(avro);
  });

  it.each<IdType>(["objectId", "string", "integer", "uuid", "mixed"])(
    "says of every record and field what it is, for _ids of type %s",
    (idType) => {
      const columns = [column("n", ["n"], "numeric"), column("days", ["d"], "date[]"), column("j", ["j"], "jsonb")];
      for (const schema of [mapping(columns), DOCUMENT_MODE].map((each) => collectionSchema(each, idType, ORIGIN))) {
        for (const definition of [schema.keySchema, schema.truncateKeySchema, schema.valueSchema]) {
          expect(namesWithoutDoc(definition)).toEqual([]);
        }
      }
    },
  );

  it.each(["numeric", "numeric(10,2)"])("marks %s as numbers, which are texts so that no digit is lost", (sql) => {
    const marked = { type: "string", logicalType: "headrace.numeric", "connect.name": "headrace.numeric" };
    const columns = [column("a", ["a"], sql), column("b", ["b"], `${sql}[]`)];
    const [before] = collectionSchema(mapping(columns), "string", ORIGIN).valueSchema.fields;
    const [, value] = before!.type as readonly [string, AvroRecord];
    expect(value.fields.slice(1, 3).map(({ type }) => type)).toEqual([
      ["null", marked],
      ["null", { type: "array", items: ["null", marked] }],
    ]);
  });

  it("keeps the docs of registered keys, because the registry accepts no others after a truncate's key", () => {
    const { keySchema } = collectionSchema(DOCUMENT_MODE, "string", ORIGIN);
    const withDocs = {
      ...keySchema,
      doc: "a",
      fields: [{ ...keySchema.fields[0], doc: "b", type: ["null", "string"] }],
    };
    const { doc: _doc, ...undocumented } = { ...keySchema, fields: [{ name: "_id", type: "string" }] };
    for (const [registered, doc, idDoc] of [[withDocs, "a", "b"], [undocumented]] as const) {
      const kept = collectionSchema(DOCUMENT_MODE, "string", ORIGIN, { key: registered });
      for (const key of [kept.keySchema, kept.truncateKeySchema]) {
        expect([key.doc, key.fields[0]?.doc]).toEqual([doc, idDoc]);
      }
    }
    expect(JSON.stringify(collectionSchema(DOCUMENT_MODE, "string", ORIGIN, { key: undocumented }).keySchema)).toBe(
      '{"type":"record","name":"Key","namespace":"shop.store.products","headrace.idType":"string","fields":[{"name":"_id","type":"string"}]}',
    );
  });

  it("is valid Avro for any column names and any topic", () => {
    const name = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
      .filter((text) => mappingMistakes(mapping([column(text)])).length === 0);
    const topic = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 20 }), topic, (names, topic) => {
        const schema = collectionSchema(mapping(names.map((text) => column(text))), "string", { ...ORIGIN, topic });
        avroType(schema.keySchema);
        avroType(schema.valueSchema);
      }),
    );
  });

  it("is refused with every mistake of the mapping", () => {
    const bad = mapping([column("_extra"), column("a", ["x"]), column("a", ["y"]), column("c", ["x", "z"])]);
    expect(() => collectionSchema(bad, "string", ORIGIN)).toThrow(
      expect.objectContaining({
        code: "MAPPING_INVALID",
        message: expect.stringMatching(
          /"products".*"_extra".*"a" is declared twice.*"a" and column "c" have overlapping paths/,
        ),
      }),
    );
  });
});

describe("a mapping", () => {
  it.each([
    ["usual columns", [column("a"), column("A"), column("b.c", ["b", "c"]), column("x", ["b", "d"])]],
    ["names that are each other's escape", [column("a.b", ["1"]), column("a_u002eb", ["2"])]],
    ["an empty field name", [column("empty", [""]), column("inner", ["a", ""])]],
    ["paths with one name in common", [column("x", ["a", "b"]), column("y", ["b", "a"]), column("z", ["ab"])]],
    ["a name of 63 bytes", [column("é".repeat(31) + "x")]],
    ["1,590 columns", Array.from({ length: 1590 }, (_each, index) => column(`c${index}`))],
  ])("may have %s", (_what, columns) => {
    expect(mappingMistakes(mapping(columns))).toEqual([]);
  });

  it.each([
    ["a reserved name", [column("_id", ["x"])], /"_id".*Headrace uses itself/],
    ["another reserved name", [column("_version")], /"_version"/],
    ["a third reserved name", [column("doc")], /"doc"/],
    ["a system column's name", [column("ctid")], /system column/],
    ["a name that records in JavaScript cannot have", [column("__proto__")], /"__proto__"/],
    ["an empty name", [column("", ["x"])], /empty name/],
    ["a NUL in a name", [column("a\0b", ["x"])], /cannot store/],
    ["a lone surrogate in a name", [column("\ud800", ["x"])], /cannot store/],
    ["a name of 64 bytes", [column("é".repeat(32))], /63 bytes/],
    ["a name twice", [column("a", ["x"]), column("a", ["y"])], /"a" is declared twice/],
    ["an empty path", [column("a", [])], /empty path/],
    ["a NUL in a path", [column("a", ["x\0"])], /NUL/],
    ["a path into _id", [column("a", ["_id", "x"])], /reads _id/],
    ["a path twice", [column("a", ["x"]), column("b", ["x"])], /"a" and column "b" have overlapping/],
    ["a path within another", [column("a", ["x", "y"]), column("b", ["x"])], /"a" and column "b" have overlapping/],
    [
      "a path around another",
      [column("b", ["x"]), column("a", ["x", "y", "z"])],
      /"b" and column "a" have overlapping/,
    ],
    [
      "1,591 columns",
      Array.from({ length: 1591 }, (_each, index) => column(`c${index}`)),
      /1591 columns, but at most 1590/,
    ],
  ])("has no %s", (_what, columns, mistake) => {
    expect(messages(mapping(columns))).toEqual([expect.stringMatching(mistake)]);
  });

  it("in document mode has no columns", () => {
    expect(messages({ ...DOCUMENT_MODE, columns: [column("a")] })).toEqual([expect.stringMatching(/no columns/)]);
  });
});
