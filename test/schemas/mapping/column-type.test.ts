import { describe, expect, it } from "vitest";
import { avroTypeOf, parseColumnType } from "../../../src/schemas/mapping/column-type.ts";

describe("a column type", () => {
  it.each([
    ["text", "text"],
    [" TEXT ", "text"],
    ["varchar", "character varying"],
    ["varchar(20)", "character varying(20)"],
    ["character  varying ( 20 )", "character varying(20)"],
    ["char", "character(1)"],
    ["char(3)", "character(3)"],
    ["int2", "smallint"],
    ["int", "integer"],
    ["INT4", "integer"],
    ["int8", "bigint"],
    ["float4", "real"],
    ["float8", "double precision"],
    ["float", "double precision"],
    ["decimal", "numeric"],
    ["numeric(10)", "numeric(10,0)"],
    ["numeric(10,2)", "numeric(10,2)"],
    ["decimal ( 10 , 2 )", "numeric(10,2)"],
    ["numeric(3,-2)", "numeric(3,-2)"],
    ["bool", "boolean"],
    ["timestamp", "timestamp without time zone"],
    ["timestamptz", "timestamp with time zone"],
    ["timestamp with time zone", "timestamp with time zone"],
    ["text[]", "text[]"],
    ["numeric(10,2) []", "numeric(10,2)[]"],
    ["timestamptz[]", "timestamp with time zone[]"],
    ["uuid", "uuid"],
    ["bytea", "bytea"],
    ["jsonb", "jsonb"],
    ["date", "date"],
  ])("%j is read as %s", (text, sql) => {
    const type = parseColumnType(text);
    expect(type.sql).toBe(sql);
    expect(parseColumnType(sql)).toEqual(type);
  });

  it("has its parts", () => {
    expect(parseColumnType("varchar(20)[]")).toEqual({
      sql: "character varying(20)[]",
      base: "character varying",
      isArray: true,
      length: 20,
      scale: undefined,
    });
    expect(parseColumnType("numeric(10,2)")).toMatchObject({ base: "numeric", isArray: false, length: 10, scale: 2 });
    expect(parseColumnType("numeric")).toMatchObject({ length: undefined, scale: undefined });
  });

  it.each([
    "",
    "string",
    "json",
    "time",
    "interval",
    "money",
    "inet",
    "serial",
    "text(10)",
    "varchar(0)",
    "varchar(10485761)",
    "varchar(1,2)",
    "varchar(",
    "numeric(0)",
    "numeric(1001)",
    "numeric(10,1001)",
    "numeric(10,2,3)",
    "timestamp(3)",
    "timestamp(3) with time zone",
    "integer[][]",
    "text[3]",
    "text; drop table x",
    'text"',
    "toString",
    "constructor",
  ])("%j is refused with a list of supported types", (text) => {
    expect(() => parseColumnType(text)).toThrow(
      expect.objectContaining({
        code: "MAPPING_INVALID",
        kind: "fatal",
        message: expect.stringContaining(`"${text}"`),
        remedy: expect.stringContaining("double precision, numeric(p,s), boolean"),
      }),
    );
  });
});

describe("the Avro type of a column", () => {
  it.each([
    ["text", "string"],
    ["numeric(10,2)", { type: "string", logicalType: "headrace.numeric", "connect.name": "headrace.numeric" }],
    ["smallint", "long"],
    ["bigint", "long"],
    ["real", "double"],
    ["boolean", "boolean"],
    ["bytea", "bytes"],
    ["uuid", { type: "string", logicalType: "uuid" }],
    ["timestamptz", { type: "long", logicalType: "timestamp-millis" }],
    ["timestamp", { type: "long", logicalType: "local-timestamp-millis" }],
    ["date", { type: "int", logicalType: "date" }],
    ["bigint[]", { type: "array", items: ["null", "long"] }],
  ])("%s is %j", (sql, avro) => {
    expect(avroTypeOf(parseColumnType(sql))).toEqual(avro);
  });
});
