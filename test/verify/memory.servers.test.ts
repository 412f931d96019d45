import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Int32 } from "mongodb";
import { expect, test } from "vitest";
import type { VerifyResult } from "../../src/verify/result.ts";
import { servers } from "../support/servers.ts";
import { freshComparison } from "./fixture.ts";
import type { Comparison } from "./fixture.ts";

const mebibyte = 2 ** 20;

interface Measured extends VerifyResult {
  readonly peakBytes: number;
}

async function compareInProcess({ source, target }: Comparison, heapMebibytes: number): Promise<Measured> {
  const script = new URL("verify-process.ts", import.meta.url).pathname;
  const { mongodbUri, postgresUrl } = servers();
  const env = {
    ...process.env,
    MONGODB_URI: mongodbUri,
    POSTGRES_URL: postgresUrl,
    DATABASE: source.name,
    SCHEMA: target.schema,
  };
  const { stdout } = await promisify(execFile)("node", [`--max-old-space-size=${heapMebibytes}`, script], { env });
  return JSON.parse(stdout) as Measured;
}

test("200,000 documents that all differ take no more memory than a few", async () => {
  const comparison = await freshComparison("integer");
  const count = 200_000;
  const text = "x".repeat(200);
  for (let from = 0; from < count; from += 10_000) {
    await comparison.insert(Array.from({ length: 10_000 }, (_, i) => ({ _id: new Int32(from + i) as never, text })));
  }
  await comparison.sql("CREATE TABLE things (_id bigint PRIMARY KEY, doc jsonb)");
  await comparison.sql(
    "INSERT INTO things SELECT i, jsonb_build_object('_id', i, 'text', $1::text) FROM generate_series(0, $2 - 1) i",
    ["y".repeat(200), count],
  );
  const result = await compareInProcess(comparison, 48);
  expect(result.collections[0]).toMatchObject({ documents: count, rows: count, differentCount: count });
});

test("documents of 16 MB are compared one at a time", async () => {
  const comparison = await freshComparison("integer");
  const count = 12;
  const text = "ü".repeat(8 * mebibyte - 100);
  for (let i = 0; i < count; i++) await comparison.insert([{ _id: new Int32(i) as never, text }]);
  await comparison.sql("CREATE TABLE things (_id bigint PRIMARY KEY, doc jsonb)");
  await comparison.sql(
    "INSERT INTO things SELECT i, jsonb_build_object('_id', i, 'text', $1::text) FROM generate_series(0, $2 - 1) i",
    [text, count],
  );
  await comparison.sql(
    "UPDATE things SET doc = jsonb_set(doc, '{text}', to_jsonb((doc->>'text') || '!')) WHERE _id = 7",
  );
  const result = await compareInProcess(comparison, 128);
  expect(result.collections[0]).toMatchObject({ documents: count, rows: count, different: ["7"], missingCount: 0 });
  expect(result.peakBytes).toBeLessThan(500 * mebibyte);
});
