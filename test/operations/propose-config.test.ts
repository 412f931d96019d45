import { expect, test } from "vitest";
import { configText } from "../../src/operations/propose-config.ts";

const rare = { name: "carts", sampled: 3, leftOut: ["note (rare)"] };

test("the config names the fields that stay in _extra", () => {
  const text = configText("shop", {
    collections: [{ ...rare, columns: [{ name: "sku", path: ["sku"], type: "text" }] }],
    leftOut: new Map([["log", "it is capped"]]),
  });
  expect(text).toContain("# in _extra: note (rare)\n");
  expect(text).toContain('# left out: "log": it is capped\n');
});

test("a collection without columns has no _extra, so the config names no fields for it", () => {
  const text = configText("shop", { collections: [{ ...rare, columns: [] }], leftOut: new Map() });
  expect(text).toContain("  # sampled documents: 3\n  carts: {}\n");
  expect(text).not.toContain("in _extra:");
});
