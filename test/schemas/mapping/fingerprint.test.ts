import { expect, test } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { isOtherFilter, mappingFingerprint } from "../../../src/schemas/mapping/fingerprint.ts";
import type { CollectionMapping } from "../../../src/schemas/mapping/mapping.ts";

const DOCUMENT: CollectionMapping = {
  collection: "things",
  mode: "document",
  columns: [],
  children: [],
  idType: undefined,
};
const COLUMNS: CollectionMapping = {
  ...DOCUMENT,
  mode: "columns",
  columns: [
    { name: "sku", path: ["sku"], type: parseColumnType("text") },
    { name: "width", path: ["dims", "w"], type: parseColumnType("numeric(10,2)") },
  ],
};

test("without a filter it is what positions in Kafka have: nobody's collections are copied again by an upgrade", () => {
  expect(mappingFingerprint(DOCUMENT)).toBe("e725732871886759");
  expect(mappingFingerprint(COLUMNS)).toBe("93ed2fe1b84e48e2");
});

test("a filter is part of it, and can be told from the rest", () => {
  const filtered = mappingFingerprint({ ...DOCUMENT, filter: '{"a":1}' });
  expect(filtered).not.toBe(mappingFingerprint(DOCUMENT));
  expect(isOtherFilter(filtered, mappingFingerprint(DOCUMENT))).toBe(true);
  expect(isOtherFilter(filtered, mappingFingerprint({ ...DOCUMENT, filter: '{"a":2}' }))).toBe(true);
  expect(isOtherFilter(filtered, mappingFingerprint({ ...COLUMNS, filter: '{"a":1}' }))).toBe(false);
  expect(isOtherFilter(mappingFingerprint(DOCUMENT), mappingFingerprint(COLUMNS))).toBe(false);
});
