import { expect, test } from "vitest";
import { ChunkSize } from "../../src/producers/chunk-size.ts";

const ofBytes = (bytes: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, () => new Uint8Array(bytes));

test("chunks of small documents have as many as is allowed", () => {
  const size = new ChunkSize(2_000);
  size.read(ofBytes(500, 2_000));
  expect(size.documents).toBe(2_000);
});

test("chunks of large documents have about 8 MB", () => {
  const size = new ChunkSize(2_000);
  size.read(ofBytes(1_000_000, 16));
  expect(size.documents).toBe(8);
});

test("a document that is larger than that is read by itself", () => {
  const size = new ChunkSize(2_000);
  size.read(ofBytes(15_000_000, 1));
  expect(size.documents).toBe(1);
});

test("chunks grow again once documents are small, and an empty one says nothing", () => {
  const size = new ChunkSize(2_000);
  size.read(ofBytes(1_000_000, 8));
  size.read([]);
  expect(size.documents).toBe(8);
  size.read(ofBytes(8_192, 8));
  expect(size.documents).toBe(1_024);
});
