import { describe, expect, test } from "vitest";
import { columnFit } from "../../../src/consumers/postgres/column-fit.ts";

describe("columnFit", () => {
  test.each([
    ["text", "text"],
    ["text", "character varying(20)"],
    ["text", "character(3)"],
    ["character varying", "text"],
    ["character varying(20)", "character varying(20)"],
    ["character varying(20)", "character varying(10)"],
    ["character varying(20)", "character(20)"],
    ["bigint", "smallint"],
    ["bigint", "integer"],
    ["numeric", "bigint"],
    ["numeric", "numeric(1000,10)"],
    ["numeric(12,2)", "numeric(10,2)"],
    ["numeric(12,4)", "numeric(10,2)"],
    ["numeric(5,0)", "smallint"],
    ["numeric(21,2)", "bigint"],
    ["bigint[]", "integer[]"],
    ["text[]", "character varying(5)[]"],
  ])("a column of %s holds every %s, but not the other way round unless they are the same type", (actual, wanted) => {
    expect(columnFit(actual, wanted)).toBe("fits");
    const same = columnFit(wanted, actual) === "fits";
    expect(same).toBe(actual === wanted || (actual === "character varying" && wanted === "text"));
  });

  test.each([
    ["integer", "bigint"],
    ["bigint", "numeric"],
    ["character varying(10)", "character varying(20)"],
    ["character(3)", "text"],
    ["numeric(10,2)", "numeric(12,4)"],
    ["numeric(10,2)", "numeric"],
    ["smallint[]", "bigint[]"],
  ])("a column of %s can be widened to %s", (actual, wanted) => {
    expect(columnFit(actual, wanted)).toBe("widen");
  });

  test.each([
    ["text", "bigint"],
    ["bigint", "text"],
    ["real", "double precision"],
    ["double precision", "real"],
    ["double precision", "integer"],
    ["numeric(10,2)", "numeric(8,4)"],
    ["numeric(4,0)", "smallint"],
    ["numeric(10,-2)", "integer"],
    ["timestamp without time zone", "timestamp with time zone"],
    ["date", "timestamp with time zone"],
    ["character(3)", "character(4)"],
    ["jsonb", "text"],
    ["json", "jsonb"],
    ["text[]", "text"],
    ["text", "text[]"],
    ["citext", "text"],
    ["public.mood", "text"],
  ])("a column of %s is refused for %s", (actual, wanted) => {
    expect(columnFit(actual, wanted)).toBe("refuse");
  });

  test("a type that Headrace does not know fits itself", () => {
    expect(columnFit("citext", "citext")).toBe("fits");
  });
});
