import { BSON } from "bson";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Redaction } from "../../../src/schemas/mapping/mapping.ts";
import { Redactor } from "../../../src/schemas/redaction/redactor.ts";
import { readBson, withoutNul } from "../../../src/verify/values/bson.ts";
import { redacted } from "../../../src/verify/values/redacted.ts";
import { fields, NAMES } from "../../schemas/formats/arbitrary-bson.ts";
import { documentBytes } from "../../schemas/formats/bson-model.ts";

const redaction: fc.Arbitrary<Redaction> = fc.record({
  path: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  action: fc.constantFrom("drop", "null", "hash"),
});

test("verify expects what the producer publishes, whatever the document is", () => {
  fc.assert(
    fc.property(fields, redaction, (each, rule) => {
      const bytes = documentBytes(each);
      const rules = { redactions: [rule], hashKey: "0123456789abcdef" };
      const published = readBson(new Redactor(rules.redactions, rules.hashKey).redact(bytes), "?");
      expect(withoutNul(redacted(readBson(bytes, "\0"), rules), "?")).toEqual(published);
    }),
    { numRuns: 2_000 },
  );
});

test("several redactions hold at once", () => {
  const bytes = BSON.serialize({ a: { b: 1, c: [2] }, d: "x" });
  const redactions: Redaction[] = [
    { path: ["a", "b"], action: "hash" },
    { path: ["a", "c"], action: "null" },
    { path: ["d"], action: "drop" },
  ];
  const rules = { redactions, hashKey: "0123456789abcdef" };
  expect(redacted(readBson(bytes, ""), rules)).toEqual(
    readBson(new Redactor(redactions, rules.hashKey).redact(bytes), ""),
  );
});
