import { expect, test } from "vitest";
import { ChunkSize } from "../../../src/producers/order/chunk-size.ts";

test("chunks of small documents have the allowed number of documents", () => {
  const size = new ChunkSize(2_000);
  size.read(2_000, 1_000_000);
  expect(size.documents).toBe(2_000);
});

test("chunks of large documents have about 8 MB", () => {
  const size = new ChunkSize(2_000);
  size.read(16, 16_000_000);
  expect(size.documents).toBe(8);
});

test("a larger document is read by itself", () => {
  const size = new ChunkSize(2_000);
  size.read(1, 15_000_000);
  expect(size.documents).toBe(1);
});

test("chunks grow again when documents are small; an empty read changes nothing", () => {
  const size = new ChunkSize(2_000);
  size.read(8, 8_000_000);
  size.read(0, 0);
  expect(size.documents).toBe(8);
  size.read(8, 65_536);
  expect(size.documents).toBe(1_024);
});
