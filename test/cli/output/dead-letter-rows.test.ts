import { expect, test } from "vitest";
import { elementRows, rowLines, rowOf } from "../../../src/cli/output/dead-letter-rows.ts";
import { orderChanges, ordersMapping } from "../../support/orders.ts";

const { change } = orderChanges(ordersMapping());

test("the record of a dead letter is shown with the elements of its arrays", () => {
  const shown = change("k", 1, {
    status: "open",
    cart: { items: [{ sku: "a", qty: 1, taxes: [{ name: "vat", rate: 7 }] }, { sku: "b" }] },
    tags: ["x"],
  });
  expect(rowOf(shown)).toEqual({ status: "open", _extra: null });
  expect(elementRows(shown)).toEqual({
    items: [
      { _position: "0", sku: "a", qty: "1", _extra: null },
      { _position: "1", sku: "b", qty: null, _extra: null },
    ],
    items_taxes: [{ _position: "0", _position_2: "0", name: "vat", rate: "7", _extra: null }],
    tags: [{ _position: "0", value: "x", _extra: null }],
  });
  expect(rowLines(shown)).toEqual([
    "status = open",
    "_extra = NULL",
    "items 0: sku = a, qty = 1, _extra = NULL",
    "items 1: sku = b, qty = NULL, _extra = NULL",
    "items_taxes 0.0: name = vat, rate = 7, _extra = NULL",
    "tags 0: value = x, _extra = NULL",
  ]);
});

test("of many elements the text shows some, and says so", () => {
  const lines = rowLines(change("k", 1, { tags: Array.from({ length: 25 }, () => "x") }));
  expect(lines).toHaveLength(2 + 11);
  expect(lines.at(-1)).toBe("tags: 15 more, which --json shows");
});

test("a delete has no row and no elements", () => {
  const deletion = change("k", 2, null);
  expect(rowOf(deletion)).toBeNull();
  expect(rowLines(deletion)).toEqual([]);
});
