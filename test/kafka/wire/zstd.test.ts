import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { zstdCodec } from "../../../src/kafka/wire/zstd.ts";

test.each([0, 1, 100, 1_000, 1_000_000])(
  "%i bytes are the same after compression and decompression, however well they compress",
  async (length) => {
    for (const buffer of [Buffer.alloc(length, "x"), randomBytes(length)]) {
      expect((await zstdCodec.decompress(await zstdCodec.compress({ buffer }))).equals(buffer)).toBe(true);
    }
  },
);

test("decompressed data is at most sixteen times as large as compressed data", async () => {
  const buffer = Buffer.alloc(16_000_000, "x");
  const { length } = await zstdCodec.compress({ buffer });
  expect(length).toBe(1_000_000);
});

test("usual text is compressed without padding", async () => {
  const buffer = Buffer.from(
    Array.from({ length: 10_000 }, (_, i) => JSON.stringify({ _id: i, name: `n${i * 7}` })).join(),
  );
  const { length } = await zstdCodec.compress({ buffer });
  expect(length).toBeGreaterThan(buffer.length / 16);
  expect(length).toBeLessThan(buffer.length / 3);
});
